//go:build !unix

package main

import "os"

// upgradeSignals are those that start a successor: none here.
var upgradeSignals []os.Signal
