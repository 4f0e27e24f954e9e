package lockrun

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"syscall"
)

// attributes makes the command lead its group, and die when this process is killed, unless it is to live on as an orphan.
func attributes(group, orphan bool) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: group}
	if !orphan {
		a.Pdeathsig = syscall.SIGKILL
	}
	return a
}

// relative is a process, told from a later one with the same number by when it began.
type relative struct {
	pid, parent int
	began       string
}

// signal sends it a signal if it is still there.
func (r relative) signal(s syscall.Signal) {
	if now, ok := lookUp(r.pid); ok && now.began == r.began {
		syscall.Kill(r.pid, s)
	}
}

// family is all that a process started and what that started, without itself.
func family(pid int) []relative { return descendants(children(), pid) }

func descendants(children map[int][]relative, pid int) []relative {
	all := slices.Clone(children[pid])
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i].pid]...)
	}
	return all
}

// children is the table of processes, by parent.
func children() map[int][]relative {
	table := map[int][]relative{}
	entries, _ := os.ReadDir("/proc") // an error: nobody is found
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil {
			if r, ok := lookUp(n); ok {
				table[r.parent] = append(table[r.parent], r)
			}
		}
	}
	return table
}

// freeze stops the family of a process, and some others with theirs, until none of them can start another. It gives all of them.
func freeze(pid int, others []relative) []relative {
	stopped := map[relative]bool{}
	for {
		table := children()
		all := descendants(table, pid)
		for _, o := range others {
			if now, ok := lookUp(o.pid); ok && now.began == o.began {
				all = append(append(all, now), descendants(table, o.pid)...)
			}
		}
		more := false
		for _, r := range all {
			r.parent = 0 // it changes when the parent ends
			if !stopped[r] {
				r.signal(syscall.SIGSTOP)
				stopped[r], more = true, true
			}
		}
		if !more {
			return all
		}
	}
}

// Positions in /proc/PID/stat after the name of the command, which ends with the last parenthesis.
const (
	statParent = 1
	statBegan  = 19
)

func lookUp(pid int) (relative, bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return relative{}, false
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) <= statBegan {
		return relative{}, false
	}
	parent, err := strconv.Atoi(string(fields[statParent]))
	return relative{pid, parent, string(fields[statBegan])}, err == nil
}
