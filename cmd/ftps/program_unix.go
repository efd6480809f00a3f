//go:build unix

package main

import (
	"os"
	"syscall"
)

// upgradeSignals are those that start a successor.
var upgradeSignals = []os.Signal{syscall.SIGUSR2}
