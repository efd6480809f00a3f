package ftpserver

import (
	"fmt"
	"runtime/debug"
)

// panicked is a mistake of the program's own, with where it was made.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string {
	return fmt.Sprintf("ftpserver: panic: %v\n%s", p.value, p.stack)
}

// guard runs f and turns a panic in it into an error: a mistake in one
// session's command must not end everybody else's.
func guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicked{v, debug.Stack()}
		}
	}()
	return f()
}
