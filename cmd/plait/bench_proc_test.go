package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// processorTime returns what the threads of a process have run so far, to the nanosecond. It knows
// only Linux; ok is false elsewhere. Threads that have ended are not in it: Go keeps its own.
func processorTime(pid int) (total time.Duration, ok bool) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil {
		return 0, false
	}
	for _, file := range threads {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it ended meanwhile
		}
		run, _, _ := strings.Cut(string(text), " ")
		ns, err := strconv.ParseInt(run, 10, 64)
		if err != nil {
			return 0, false
		}
		total += time.Duration(ns)
	}
	return total, total > 0
}

// settledTime is processorTime once the process has come to rest, or a moment later: the kernel
// books the time of a thread when it stops running, or at the next tick.
func settledTime(pid int) (time.Duration, bool) {
	const tick = 5 * time.Millisecond
	last, ok := processorTime(pid)
	for range 20 {
		if !ok {
			return 0, false
		}
		<-time.After(tick)
		now, still := processorTime(pid)
		if now-last < tick/100 {
			return now, still
		}
		last, ok = now, still
	}
	return last, ok
}

// resident and peak name lines of /proc/PID/status.
const (
	resident = "VmRSS:"
	peak     = "VmHWM:" // since the last resetPeak
)

// memory returns one of the lines of /proc/PID/status, in bytes. It knows only Linux.
func memory(pid int, line string) (size int64, ok bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, false
	}
	_, rest, _ := strings.Cut(string(text), line)
	rest, _, _ = strings.Cut(rest, "kB")
	kib, err := strconv.ParseInt(strings.TrimSpace(rest), 10, 64)
	return kib << 10, err == nil
}

// resetPeak makes the peak memory of a process what it has now.
func resetPeak(pid int) bool {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0o600) == nil
}

// machine describes where the figures were taken.
func machine() string {
	cpu := "unknown processor"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, found := strings.Cut(string(text), "model name\t: "); found {
			cpu, _, _ = strings.Cut(rest, "\n")
		}
	}
	return cpu
}
