package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// ticksPerSecond is USER_HZ, the unit of times in /proc; it is 100 on every architecture that Go runs on.
const ticksPerSecond = 100

// processor returns the seconds of processor time, user and system, that a process has used (proc_pid_stat(5), fields 14
// and 15).
func processor(pid int) (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The second field is the program's name in parentheses, which may itself hold spaces and parentheses.
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat has %d fields after the name, want 13 and more", pid, len(fields))
	}
	var ticks uint64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseUint(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("reading /proc/%d/stat: %w", pid, err)
		}
		ticks += n
	}
	return float64(ticks) / ticksPerSecond, nil
}

// residentMiB returns the resident memory of a process (proc_pid_status(5), VmRSS).
func residentMiB(pid int) (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 64)
			return kib / 1024, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/status has no VmRSS", pid)
}

// usage is the processor time of each part of the world, in seconds.
type usage map[string]float64

// parts of the world whose processor time is told apart.
const (
	partControlPlane = "control plane"
	partPlain        = "plain server"
	partMembers      = "members"
	partDriver       = "driver"
)

func (w *world) usage() (usage, error) {
	u := usage{}
	pids := map[string][]int{partControlPlane: {w.federation.command.Process.Pid}, partPlain: {w.plain.command.Process.Pid}, partDriver: {os.Getpid()}}
	for _, m := range w.members {
		pids[partMembers] = append(pids[partMembers], m.command.Process.Pid)
	}
	for part, list := range pids {
		for _, pid := range list {
			seconds, err := processor(pid)
			if err != nil {
				return nil, fmt.Errorf("measuring the %s: %w", part, err)
			}
			u[part] += seconds
		}
	}
	return u, nil
}

func (u usage) minus(before usage) usage {
	d := usage{}
	for part, seconds := range u {
		d[part] = seconds - before[part]
	}
	return d
}

func (u usage) times(factor float64) usage {
	out := usage{}
	for part, seconds := range u {
		out[part] = seconds * factor
	}
	return out
}

func (u usage) of(parts []string) (sum float64) {
	for _, part := range parts {
		sum += u[part]
	}
	return sum
}

func (u usage) only(parts []string) usage {
	out := usage{}
	for _, part := range parts {
		out[part] = u[part]
	}
	return out
}

func everyPart() []string { return []string{partControlPlane, partPlain, partMembers, partDriver} }

const (
	quietWindow = 500 * time.Millisecond
	quietLimit  = time.Minute
)

// quiet waits, after a time in which work may still begin, until the servers use no more than they do at rest.
func (w *world) quiet(ctx context.Context, after time.Duration, idle usage) error {
	if err := pause(ctx, after); err != nil {
		return err
	}
	parts := []string{partControlPlane, partPlain, partMembers}
	last, err := w.usage()
	if err != nil {
		return err
	}
	var used float64
	for range int(quietLimit / quietWindow) {
		if err := pause(ctx, quietWindow); err != nil {
			return err
		}
		now, err := w.usage()
		if err != nil {
			return err
		}
		used = now.minus(last).of(parts) / quietWindow.Seconds()
		if used < 2*idle.of(parts)+0.05 {
			return nil
		}
		last = now
	}
	return fmt.Errorf("the servers do not come to rest: they use %.0f %% of a core, at rest %.0f %%", 100*used, 100*idle.of(parts))
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
