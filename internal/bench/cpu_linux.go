package bench

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Ticks per second of the times in /proc, which is the same on every platform of Linux that Go runs on.
const clockTicks = 100

// findPostmaster returns the process whose child serves a connection, or 0 if it is not to be seen from here: the process
// with that id here must be a server's that was started when the server says it was.
func findPostmaster(backend int, started time.Time) int {
	postmaster := parentOf(backend)
	if name := firstLine(fmt.Sprintf("/proc/%d/comm", postmaster)); name != "postgres" && name != "postmaster" {
		return 0
	}
	stat := processStat(postmaster)
	boot := bootTime()
	if stat == nil || boot.IsZero() {
		return 0
	}
	begun := boot.Add(ticks(stat[19]))
	const tolerance = 10 * time.Second // the server reads its configuration first, and clocks are adjusted
	if d := started.Sub(begun); d < -tolerance || d > tolerance {
		return 0
	}
	return postmaster
}

// serverCPU returns the processor time of a server: of its processes and of those that have ended.
func serverCPU(postmaster int) (time.Duration, bool) {
	if postmaster == 0 {
		return 0, false
	}
	stat := processStat(postmaster)
	if stat == nil {
		return 0, false
	}
	sum := processCPU(postmaster, stat) + ticks(stat[13]) + ticks(stat[14]) // its own and that of children it has seen end
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, false
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if stat := processStat(pid); stat != nil && stat[1] == strconv.Itoa(postmaster) {
			sum += processCPU(pid, stat)
		}
	}
	return sum, true
}

// processCPU is the time a process has run: to the nanosecond where the kernel tells, else in ticks.
func processCPU(pid int, stat []string) time.Duration {
	schedstat, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
	if err == nil {
		ran, _, _ := strings.Cut(string(schedstat), " ")
		if ns, err := strconv.ParseInt(ran, 10, 64); err == nil && ns > 0 {
			return time.Duration(ns)
		}
	}
	return ticks(stat[11]) + ticks(stat[12])
}

// processStat returns the fields of /proc/PID/stat that follow the name, state first; nil if the process is gone.
func processStat(pid int) []string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	end := strings.LastIndexByte(string(text), ')') // the name may contain anything
	fields := strings.Fields(string(text[end+1:]))
	if len(fields) < 20 {
		return nil
	}
	return fields
}

// parentOf is the parent of a process, 0 if there is none to be seen.
func parentOf(pid int) int {
	stat := processStat(pid)
	if stat == nil {
		return 0
	}
	parent, err := strconv.Atoi(stat[1])
	if err != nil {
		return 0
	}
	return parent
}

// ticks parses a time in clock ticks.
func ticks(field string) time.Duration {
	n, err := strconv.ParseInt(field, 10, 64)
	if err != nil {
		return 0
	}
	return time.Duration(n) * (time.Second / clockTicks)
}

// bootTime is when the machine was started, zero if it does not tell.
func bootTime() time.Time {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return time.Time{}
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "btime "); ok {
			if seconds, err := strconv.ParseInt(strings.TrimSpace(rest), 10, 64); err == nil {
				return time.Unix(seconds, 0)
			}
		}
	}
	return time.Time{}
}
