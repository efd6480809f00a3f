//go:build !unix

package pki

import (
	"io/fs"
	"os"
)

// Where there is no flock the last writer wins; each file is whole even so.
func tryLock(*os.File) (taken bool, err error) { return true, nil }

func keepOwner(*os.File, fs.FileInfo) {}

func syncFolder(string) error { return nil }

func readableByOthers(fs.FileInfo) bool { return false }
