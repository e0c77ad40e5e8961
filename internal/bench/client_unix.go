//go:build unix

package bench

import (
	"syscall"
	"time"
)

// ClientCPU is the processor time this process has used, in user and kernel mode; ok is false where it is not known.
func ClientCPU() (used time.Duration, ok bool) {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0, false
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()), true
}
