//go:build unix

package main

import (
	"os"
	"syscall"
	"testing"
)

func TestASignalEndsTheDemoAndLeavesNothing(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		s := startOnTerminal(t, "server", "--demo", "--no-console")
		folder := s.sees(`are in (\S+)/srv`)[1]
		s.sees(`--pin sha256//\S+=`)
		if err := syscall.Kill(os.Getpid(), signal); err != nil {
			t.Fatal(err)
		}
		s.sees(`server stopped`)
		s.ends(0)
		if _, err := os.Stat(folder); !os.IsNotExist(err) {
			t.Errorf("%v: the folder is still there: %v", signal, err)
		}
	}
}

func TestWithoutAccountsItStartsAndSaysHowToAddOne(t *testing.T) {
	s := startOnTerminal(t, "server", "--run-as", me(t), "-C", "0", "-D", "0", "-H", "127.0.0.1", "--users", "my users.yaml")
	s.sees(`There are no accounts yet`)
	s.sees(`ftps useradd NAME --users '/.*/my users\.yaml'`)
	s.sees(`ftps> `)
	s.types("\x04")
	s.sees(`the server goes on`)
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.ends(0)
}
