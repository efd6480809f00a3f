//go:build !unix

package admin

import "io/fs"

func ownedBy(fs.FileInfo, int) bool { return true }
