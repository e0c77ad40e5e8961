//go:build unix

package pgtest

import (
	"errors"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is who runs the server: PostgreSQL refuses to run as root.
type account struct {
	name       string
	credential *syscall.Credential // nil: whoever runs the test
}

func unprivileged() (*account, error) {
	if os.Geteuid() != 0 {
		return &account{name: strconv.Itoa(os.Geteuid())}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil {
			return &account{name: name, credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
		}
	}
	return nil, errors.New("pgtest: running as root, and there is neither a user postgres nor nobody to run the server as")
}

// run makes cmd run as the account, apart from the terminal: an interrupt reaches the test, which ends the server.
func (a *account) run(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: a.credential}
}

// own gives a directory and what is in it to the account.
func (a *account) own(dir string) error {
	if a.credential == nil {
		return filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() && path != dir {
				err = os.Chmod(path, 0o700)
			}
			return err
		})
	}
	return filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if err := os.Chmod(path, 0o700); err != nil {
				return err
			}
		}
		return os.Lchown(path, int(a.credential.Uid), int(a.credential.Gid))
	})
}

// ownAlone gives a directory to the account, without what is in it: others may be busy there.
func (a *account) ownAlone(dir string) error {
	if a.credential == nil {
		return nil
	}
	return os.Lchown(dir, int(a.credential.Uid), int(a.credential.Gid))
}
