package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/pawlrun/pawl/internal/bench"
)

// usage is what has been used up to a moment. Processor times are in seconds, unknown where the machine does not tell.
type usage struct {
	at      time.Time
	server  bench.Usage
	client  float64 // this process
	daemons float64 // the server processes of the system that runs
	machine float64 // everybody
}

// unknown is a figure that nobody tells.
const unknown = -1

// readUsage reads what has been used so far.
func readUsage(ctx context.Context, server *bench.Server, daemons []int) (u usage, err error) {
	if u.server, err = server.Usage(ctx); err != nil {
		return u, err
	}
	u.client = unknown
	if used, ok := bench.ClientCPU(); ok {
		u.client = used.Seconds()
	}
	for _, pid := range daemons {
		u.daemons += processCPU(pid)
	}
	u.machine = machineCPU()
	u.at = time.Now()
	return u, nil
}

// difference is what was used between two moments, unknown if either is.
func difference(after, before float64) float64 {
	if after < 0 || before < 0 {
		return unknown
	}
	return after - before
}

// clockTicks is how many of the ticks that Linux counts processor time in make a second, wherever Go runs.
const clockTicks = 100

// processCPU is the processor time of all threads of a process.
func processCPU(pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return unknown
	}
	// The name, in parentheses, may hold anything. User and system time are the 12th and 13th field after it.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 13 {
		return unknown
	}
	return ticks(fields[11:13])
}

// machineCPU is the time that all processors of the machine have worked.
func machineCPU() float64 {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return unknown
	}
	line, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(line) // cpu, user, nice, system, idle, waiting, interrupts, soft ones, stolen, ...
	if len(fields) < 8 {
		return unknown
	}
	return ticks([]string{fields[1], fields[2], fields[3], fields[6], fields[7]})
}

// ticks adds times in clock ticks up to seconds.
func ticks(fields []string) float64 {
	var sum int64
	for _, field := range fields {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return unknown
		}
		sum += n
	}
	return float64(sum) / clockTicks
}
