//go:build !linux

package node

import (
	"os"
	"syscall"
)

// ownGroup has nothing to offer here: local clusters run on Linux, elsewhere the package only compiles.
func ownGroup() *syscall.SysProcAttr { return nil }

func signalGroup(p *os.Process, s syscall.Signal) { p.Signal(s) }
