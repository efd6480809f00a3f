//go:build unix

package mirror

import "syscall"

// nonblock keeps the opening of a FIFO, put in a file's place after it was
// looked at, from waiting for a writer.
const nonblock = syscall.O_NONBLOCK
