package main

import (
	"os"
	"os/exec"
	"path/filepath"
)

// program returns the path that the program was started from: an upgrade
// starts what lies there then. A symlink is not followed, for it may be what
// is changed.
func program() string {
	path, err := exec.LookPath(os.Args[0])
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		path, err = os.Executable()
	}
	if err != nil {
		return ""
	}
	return path
}
