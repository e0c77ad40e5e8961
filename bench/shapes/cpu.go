package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// backendCPU returns the processor time the server processes with these ids
// have used, from /proc/<pid>/schedstat (nanoseconds). It reports false if the
// server does not run on this machine or the kernel does not tell.
//
// Only the backends of the measured sessions are counted: they write and flush
// their own WAL, so what is left out are the background writer and the like.
func backendCPU(pids []uint32) (time.Duration, bool) {
	var sum time.Duration
	for _, pid := range pids {
		used, ok := processCPU(pid)
		if !ok {
			return 0, false
		}
		sum += used
	}
	return sum, true
}

// processCPU is backendCPU for one process.
func processCPU(pid uint32) (time.Duration, bool) {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil || strings.TrimSpace(string(name)) != "postgres" {
		return 0, false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
	if err != nil {
		return 0, false
	}
	first, _, _ := strings.Cut(string(stat), " ")
	ns, err := strconv.ParseInt(first, 10, 64)
	return time.Duration(ns), err == nil
}
