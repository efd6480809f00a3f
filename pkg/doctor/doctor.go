// Package doctor examines an FTP server over TLS the way a client meets it,
// step by step, and says of each step what was found and, where something is
// wrong, what to do about it.
//
// Begin at [Examine]. The steps are a table (see checks); each ends in one
// [Finding], whose words are keys of the catalogue. It trusts and logs in as
// any client does, writes only files of a name of its own, and takes them
// away again.
package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"net/netip"
	"time"

	"ftps/pkg/fault"
	"ftps/pkg/ftpclient"
	"ftps/pkg/pki"
)

// Options say whom to examine, and how to get in.
type Options struct {
	// Config is how to connect. Three times its Timeout bounds each step; its
	// TLS is made from Base and Trust.
	Config ftpclient.Config
	Host   string      // as the person typed it
	Base   *tls.Config // client certificates, or nil
	Trust  *pki.Trust
	Folder string // where its files go; "" is where the login leads
	Most   int    // connections at once at which counting stops; 0 means 10

	// Accept puts the key of an unknown host to a person. Where it is nil, or
	// returns an error, nothing is sent to the host.
	Accept func(ctx context.Context, q pki.Question) error
	// Login logs the first connection in; Again every further one, and asks
	// nobody.
	Login, Again func(ctx context.Context, c *ftpclient.Conn) error
	// Lookup finds the addresses of a name; nil means the system's way.
	Lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// State is how a step ended.
type State uint8

// The states.
const (
	Good    State = iota
	Bad           // something is wrong; the finding has a remedy
	Untried       // Found says why
)

// String returns the state as JSON has it.
func (s State) String() string { return [...]string{"ok", "wrong", "untried"}[s] }

// Finding is what one step found. Found and Remedy carry keys of the
// catalogue.
type Finding struct {
	Check string // the step's name; its words are the row doctor.check.NAME
	State State
	// Essential: where it is wrong, files cannot be moved, or not safely.
	// What is wrong elsewhere is advice.
	Essential bool
	Found     error
	Remedy    *fault.Error // nil unless Bad
	Err       error        // what the step failed with, or nil
	Took      time.Duration
}

// Class is the exit code that the finding calls for: Done, unless an
// essential step is wrong.
func (f Finding) Class() ftpclient.ClassCode {
	if f.State != Bad || !f.Essential {
		return ftpclient.Done
	}
	if class := ftpclient.Class(f.Err); class != ftpclient.Done {
		return class
	}
	return ftpclient.Other
}

// good is a finding with nothing wrong.
func good(key string, args ...any) Finding { return Finding{Found: fault.New(key, args...)} }

// wrong is a finding with a remedy. err decides about the exit code.
func wrong(err, found error, remedy string, args ...any) Finding {
	return Finding{State: Bad, Found: plain(found), Remedy: fault.New(remedy, args...), Err: err}
}

// plain gives the end of a step's time the words that a reply that does not
// come has.
func plain(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return ftpclient.ErrTimeout
	}
	return err
}

// untried is a step that could not be taken.
func untried(key string, args ...any) Finding {
	for i, a := range args {
		if err, ok := a.(error); ok {
			args[i] = plain(err)
		}
	}
	return Finding{State: Untried, Found: fault.New(key, args...)}
}

// stage is how far the examination has come.
type stage uint8

const (
	anywhere  stage = iota
	named           // the name has an address
	reached         // a TCP connection stood
	shaken          // TLS stood, and a certificate was shown
	trusted         // it is the right one
	connected       // everything up to the login was said
	loggedIn
	linked // a data connection stood
)

// missing says why a step was not taken that needs a stage.
var missing = map[stage]string{
	named:     "doctor.without.name",
	reached:   "doctor.without.tcp",
	shaken:    "doctor.without.tls",
	trusted:   "doctor.without.trust",
	connected: "doctor.without.dialogue",
	loggedIn:  "doctor.without.login",
	linked:    "doctor.without.data",
}

// check is one step.
type check struct {
	name      string
	needs     stage
	essential bool
	person    bool // somebody may be asked, who takes the time it takes
	run       func(p *patient, ctx context.Context) Finding
}

// checks are the steps in their order.
var checks = []check{
	{name: "name", essential: true, run: (*patient).resolve},
	{name: "tcp", needs: named, essential: true, run: (*patient).connect},
	{name: "greeting", needs: reached, essential: true, person: true, run: (*patient).greet},
	{name: "auth", needs: reached, essential: true, run: (*patient).auth},
	{name: "tls", needs: reached, essential: true, run: (*patient).handshake},
	{name: "trust", needs: shaken, essential: true, run: (*patient).trust},
	{name: "dates", needs: shaken, run: (*patient).dates},
	{name: "names", needs: shaken, run: (*patient).names},
	{name: "prot", needs: trusted, essential: true, run: (*patient).protection},
	{name: "login", needs: connected, essential: true, person: true, run: (*patient).login},
	{name: "feat", needs: loggedIn, run: (*patient).features},
	{name: "epsv", needs: loggedIn, run: (*patient).epsv},
	{name: "pasv", needs: loggedIn, run: (*patient).pasv},
	{name: "data", needs: loggedIn, essential: true, run: (*patient).data},
	{name: "resumed", needs: linked, run: (*patient).resumed},
	{name: "required", needs: linked, run: (*patient).required},
	{name: "end", needs: linked, run: (*patient).end},
	{name: "cut", needs: linked, run: (*patient).cut},
	{name: "empty", needs: linked, essential: true, run: (*patient).empty},
	{name: "content", needs: linked, essential: true, run: (*patient).content},
	{name: "utf8", needs: linked, run: (*patient).utf8},
	{name: "clock", needs: linked, run: (*patient).clock},
	{name: "removed", needs: linked, run: (*patient).removed},
	{name: "count", needs: loggedIn, run: (*patient).count},
	{name: "versions", needs: reached, run: (*patient).versions},
}

// Examine takes every step that can be taken and tells each finding as it is
// made. It returns an error only where ctx ends; what is wrong with the
// server is in the findings.
func Examine(ctx context.Context, o Options, tell func(Finding)) error {
	p := newPatient(o)
	defer p.leave(ctx)
	for _, c := range checks {
		began := time.Now()
		f := p.take(ctx, c)
		if err := ctx.Err(); err != nil {
			return err
		}
		f.Check, f.Essential, f.Took = c.name, c.essential, time.Since(began)
		tell(f)
	}
	return nil
}

func (p *patient) take(ctx context.Context, c check) Finding {
	for s := named; s <= c.needs; s++ {
		if !p.has[s] {
			return untried(missing[s])
		}
	}
	if !c.person {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.step)
		defer cancel()
	}
	return c.run(p, ctx)
}
