package users

import (
	"errors"
	"fmt"
	"strings"
)

// What a failure is, for errors.Is; the failure itself says what of and where.
var (
	ErrInvalid   = errors.New("users: the file has mistakes")
	ErrWritable  = errors.New("users: the file may be written by group or others")
	ErrNotFile   = errors.New("users: not a regular file")
	ErrExists    = errors.New("users: the account exists already")
	ErrNoAccount = errors.New("users: no such account")
	ErrLocked    = errors.New("users: another program holds the lock")
	ErrChanged   = errors.New("users: the file was changed meanwhile")
	ErrUneasy    = errors.New("users: the file cannot be edited safely")
	ErrOwner     = errors.New("users: the owner of the file cannot be kept")
)

// Problem is one mistake in a file.
type Problem struct {
	Path string
	Line int // from 1
	Err  error
}

// Error is for logs; [Problem.Message] is for people.
func (p *Problem) Error() string { return fmt.Sprintf("%s:%d: %v", p.Path, p.Line, p.Err) }

// Unwrap returns what is wrong there.
func (p *Problem) Unwrap() error { return p.Err }

// Message names the row of the catalogue.
func (p *Problem) Message() (string, []any) {
	return "users.at", []any{p.Path, p.Line, p.Err}
}

// Problems are all mistakes that were found in one file; errors.Is says
// ErrInvalid of them.
type Problems []*Problem

// Error is for logs: every mistake on one line.
func (ps Problems) Error() string {
	words := make([]string, len(ps))
	for i, p := range ps {
		words[i] = p.Error()
	}
	return strings.Join(words, "; ")
}

// Is makes every list of mistakes an ErrInvalid.
func (ps Problems) Is(target error) bool { return target == ErrInvalid }

// Message names the row of the catalogue.
func (ps Problems) Message() (string, []any) {
	if len(ps) == 1 {
		return ps[0].Message()
	}
	return "users.problems", []any{len(ps), rest(ps)}
}

// maxShown is how many mistakes a person is shown at once.
const maxShown = 20

// rest is a list of mistakes, each on a line of its own.
type rest Problems

func (r rest) Error() string { return Problems(r).Error() }

func (r rest) Message() (string, []any) { return r.after(0) }

func (r rest) after(shown int) (string, []any) {
	switch {
	case shown == maxShown:
		return "users.problems.more", []any{len(r)}
	case len(r) == 1:
		return r[0].Message()
	}
	return "users.problems.next", []any{error(r[0]), tail{r[1:], shown + 1}}
}

type tail struct {
	rest
	shown int
}

func (t tail) Message() (string, []any) { return t.after(t.shown) }
