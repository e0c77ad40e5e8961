//go:build !linux

package bench

import "time"

// findPostmaster finds no server: only Linux shows its processes as files.
func findPostmaster(int, time.Time) int { return 0 }

func serverCPU(int) (time.Duration, bool) { return 0, false }
