//go:build !unix

package mirror

import "io/fs"

const nonblock = 0

// alone is known where there is Unix.
func alone(fs.FileInfo) bool { return true }
