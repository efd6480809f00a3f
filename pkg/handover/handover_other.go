//go:build !unix

package handover

import (
	"errors"
	"os"
	"os/exec"
)

const rightsSpace = 0

// Start fails: no socket can be given to another program here.
func Start(string, []string) (*Link, *exec.Cmd, error) { return nil, nil, errors.ErrUnsupported }

// Inherited returns nil: nobody starts successors here.
func Inherited() (*Link, error) { return nil, nil }

func rights([]int) []byte { return nil }

func filesIn([]byte) []*os.File { return nil }
