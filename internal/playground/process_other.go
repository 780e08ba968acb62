//go:build !linux

package playground

import (
	"context"
	"errors"
	"os"
	"syscall"
)

var (
	terminate = os.Interrupt
	kill      = os.Kill
	partition = os.Interrupt

	errLinuxOnly = errors.New("local clusters need Linux, which has all of 127.0.0.0/8: run the playground in a Linux machine or container")
)

func detached() *syscall.SysProcAttr { return nil }

func birthOf(int) (birth string, running bool, err error) { return "", false, errLinuxOnly }

func lock(context.Context, string, func()) (func(), error) { return nil, errLinuxOnly }
