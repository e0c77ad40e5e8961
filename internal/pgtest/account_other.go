//go:build !unix

package pgtest

import (
	"os"
	"os/exec"
	"strconv"
)

// account is who runs the server: here, whoever runs the test.
type account struct{ name string }

func unprivileged() (*account, error) { return &account{name: strconv.Itoa(os.Getpid())}, nil }

func (a *account) run(*exec.Cmd) {}

func (a *account) own(string) error { return nil }

func (a *account) ownAlone(string) error { return nil }
