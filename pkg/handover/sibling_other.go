//go:build unix && !linux

package handover

import "syscall"

// asSibling is for systemd, which there is on Linux alone.
func asSibling() *syscall.SysProcAttr { return nil }
