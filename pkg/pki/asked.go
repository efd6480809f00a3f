package pki

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"

	"golang.org/x/crypto/acme"
)

// asked is a transport that counts the requests to an authority and keeps the
// last trouble with one.
type asked struct {
	base http.RoundTripper

	mu       sync.Mutex
	requests int
	last     error
}

func (a *asked) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.requests
}

// trouble returns what went wrong last.
func (a *asked) trouble() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.last == nil { // it answered, but not in time
		return context.DeadlineExceeded
	}
	return a.last
}

func (a *asked) note(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last = err
}

// answerMost bounds what is read of an answer to look for a reason in it.
const answerMost = 64 << 10

// RoundTrip implements [http.RoundTripper].
func (a *asked) RoundTrip(r *http.Request) (*http.Response, error) {
	a.mu.Lock()
	a.requests++
	a.mu.Unlock()
	answer, err := a.base.RoundTrip(r)
	if err != nil {
		if !errors.Is(err, context.Canceled) { // what nobody waits for any more is no trouble
			a.note(err)
		}
		return nil, err
	}
	seen, err := io.ReadAll(io.LimitReader(answer.Body, answerMost))
	if err != nil {
		answer.Body.Close()
		a.note(err)
		return nil, err
	}
	answer.Body = &restored{io.MultiReader(bytes.NewReader(seen), answer.Body), answer.Body}
	if err := reason(answer.StatusCode, seen); err != nil {
		a.note(err)
	}
	return answer, nil
}

// restored is a body whose beginning was read.
type restored struct {
	io.Reader
	io.Closer
}

// problem is why an authority does not do something (RFC 7807).
type problem struct {
	Type, Detail string
	Status       int
}

// reason is what an answer says went wrong, nil for nothing: a problem instead
// of what was asked for, or one of the challenges' of an authorization
// (RFC 8555 §6.7, §7.5.1), which comes with status 200.
func reason(status int, body []byte) error {
	var said struct {
		problem
		Challenges []struct{ Error *problem }
	}
	_ = json.Unmarshal(body, &said) // certificates are none
	if status >= 400 {
		if said.Type == "urn:ietf:params:acme:error:badNonce" { // RFC 8555 §6.5: tried again at once
			return nil
		}
		return &acme.Error{StatusCode: status, ProblemType: said.Type, Detail: said.Detail}
	}
	for _, c := range said.Challenges {
		if c.Error != nil {
			return &acme.Error{StatusCode: c.Error.Status, ProblemType: c.Error.Type, Detail: c.Error.Detail}
		}
	}
	return nil
}
