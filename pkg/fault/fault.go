// Package fault carries a failure from the place that knows it to the place
// that tells a person.
//
// A package that finds something wrong knows what happened and to what, but
// not in which language it will be read. It returns an [Error] with the key
// of a row of the catalogue and that row's arguments; the catalogue turns it
// into a sentence and a hint. The package holds no sentences itself.
package fault

import (
	"fmt"
	"strings"
)

// Error is a failure that a person will read.
type Error struct {
	Key  string // the row of the catalogue, "users.name.taken"
	Args []any  // the row's arguments, in its order
	Err  error  // the cause, or nil
}

// New returns a failure without a cause.
func New(key string, args ...any) *Error { return &Error{Key: key, Args: args} }

// Wrap returns a failure with a cause, which errors.Is and errors.As see.
func Wrap(err error, key string, args ...any) *Error {
	return &Error{Key: key, Args: args, Err: err}
}

// Message returns the key and the arguments that the catalogue needs.
func (e *Error) Message() (key string, args []any) { return e.Key, e.Args }

// Error is for logs and tests: the key, the arguments and the cause, in no
// particular language.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Key)
	for _, a := range e.Args {
		fmt.Fprintf(&b, " %v", a)
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
