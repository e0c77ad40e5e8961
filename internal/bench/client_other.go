//go:build !unix

package bench

import "time"

// ClientCPU is the processor time this process has used, in user and kernel mode; ok is false where it is not known.
func ClientCPU() (used time.Duration, ok bool) { return 0, false }
