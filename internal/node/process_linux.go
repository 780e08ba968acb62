package node

import (
	"os"
	"syscall"
)

// ownGroup makes a process the leader of its group, to be signalled with its children, and lets it die with us.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

func signalGroup(p *os.Process, s syscall.Signal) { syscall.Kill(-p.Pid, s) }
