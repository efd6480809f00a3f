//go:build !unix

package hook

import (
	"io/fs"
	"os/exec"
)

func trusted(fs.FileInfo) bool { return true }

func alone(*exec.Cmd) {}

func endGroup(*exec.Cmd) {}
