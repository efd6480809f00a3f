package ftpserver

import (
	"context"
	"errors"
	"io"
	"math"
	"net/netip"
	"testing"
	"time"

	"ftps/pkg/ftp"
	"ftps/pkg/layer"
	"ftps/pkg/vfs"
)

// Each of these switches one defence off, so that a test can see the attack
// succeed which it stops.

// WithoutNeeds serves every command to everyone, and logs in without TLS.
func (c *Config) WithoutNeeds() {
	c.weaken = func(s *Server) {
		for _, r := range s.table {
			r.need = free
		}
		s.table["USER"].do = func(s *session, _ context.Context, a arg) (reply, error) {
			s.login.name = a.text
			return say("reply.user.ok"), nil
		}
		s.table["PASS"].do = func(s *session, ctx context.Context, a arg) (reply, error) {
			account, err := s.srv.cfg.Backend.Login(ctx, Attempt{Name: s.login.name, Password: a.text})
			if err != nil {
				return reply{}, err
			}
			return s.enter(account, "reply.login.ok")
		}
	}
}

// WithoutArguments takes whatever stands behind a verb.
func (c *Config) WithoutArguments() {
	c.weaken = func(s *Server) {
		for _, r := range s.table {
			r.arg = argMaybe
		}
	}
}

// AnsweringEverything calls every word a command.
func (c *Config) AnsweringEverything(words ...string) {
	c.weaken = func(s *Server) {
		for _, w := range words {
			s.table[w] = &row{verb: w, arg: argMaybe, do: noop}
		}
	}
}

// KeepingBytesBehindAUTH has what was buffered in the clear run under TLS, as
// a server does that keeps its reader across the handshake.
func (c *Config) KeepingBytesBehindAUTH() {
	c.weaken = func(s *Server) {
		s.table["AUTH"].do = func(s *session, _ context.Context, _ arg) (reply, error) {
			out := say("reply.auth.ok")
			out.then = func(ctx context.Context) error {
				var kept []line
				for old := s.control.lines; old.buffered() > 0; old.heard() {
					old.ask()
					l := <-old.out
					kept = append(kept, line{append([]byte(nil), l.text...), l.err})
				}
				if err := s.beginTLS(ctx); err != nil {
					return err
				}
				for _, l := range kept {
					s.hear(ctx, l)
				}
				return nil
			}
			return out, nil
		}
	}
}

// ConnectingAnywhere takes the address in PORT and EPRT as it is.
func (c *Config) ConnectingAnywhere() {
	dial := func(parse func(string) (netip.AddrPort, error)) handler {
		return func(s *session, ctx context.Context, a arg) (reply, error) {
			to, err := parse(a.text)
			if err == nil {
				s.port.promise, err = s.data.Dial(ctx, to)
			}
			return say("reply.port"), err
		}
	}
	c.weaken = func(s *Server) {
		s.table["PORT"].do = dial(ftp.ParsePORT)
		s.table["EPRT"].do = dial(ftp.ParseEPRT)
	}
}

// TakingCutsForEnds takes every end of an upload for a good one, as
// crypto/tls does with a FIN between two records.
func (c *Config) TakingCutsForEnds() {
	c.weaken = func(s *Server) {
		s.table["STOR"].begin = func(s *session, ctx context.Context, a arg) (*transfer, error) {
			t, err := store(s, ctx, a)
			if err != nil {
				return nil, err
			}
			carry := t.carry
			t.carry = func(ctx context.Context, f frame) error {
				f.in = credulous{f.in}
				return carry(ctx, f)
			}
			return t, nil
		}
	}
}

type credulous struct{ io.Reader }

func (c credulous) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if errors.Is(err, layer.ErrTruncated) {
		err = io.EOF
	}
	return n, err
}

// HearOtherProtocols has servers that are started after it listen to HTTP and
// SMTP until the test ends.
func HearOtherProtocols(t testing.TB) {
	old := foreign
	foreign = nil
	t.Cleanup(func() { foreign = old })
}

// ListEveryName has servers that are started after it list names with line
// breaks until the test ends.
func ListEveryName(t testing.TB) {
	old := forges
	forges = func(string) bool { return false }
	t.Cleanup(func() { forges = old })
}

// WithoutBounds hears whoever is nobody yet for ever, and tells everybody that
// there are too many.
func (c *Config) WithoutBounds() {
	c.weaken = func(s *Server) { s.most = bounds{math.MaxInt, math.MaxInt} }
}

// WithoutRights has these verbs take the session's account for one that may
// do everything, once the table has let them pass.
func (c *Config) WithoutRights(verbs ...string) {
	c.weaken = func(s *Server) {
		for _, verb := range verbs {
			do, begin := s.table[verb].do, s.table[verb].begin
			s.table[verb].do = func(s *session, ctx context.Context, a arg) (reply, error) {
				defer s.mighty()()
				return do(s, ctx, a)
			}
			if begin != nil {
				s.table[verb].begin = func(s *session, ctx context.Context, a arg) (*transfer, error) {
					defer s.mighty()()
					return begin(s, ctx, a)
				}
			}
		}
	}
}

func (s *session) mighty() (end func()) {
	account := s.login.account
	all := *account
	all.Perm = vfs.ReadWrite
	s.login.account = &all
	return func() { s.login.account = account }
}

// MaxRefusing is how many are told at once that there are too many.
const MaxRefusing = maxRefusing

// HashesWaiting returns how many stand in the line for a hash.
func (s *Server) HashesWaiting() int { return s.hashing.Waiting() }

// Window is what MinRate is held against.
func (c *Config) Window(d time.Duration) { c.window = d }

// LeavingRefusedFiles has what came with a refused STOR stay on the data
// connection, where the next one finds it.
func (c *Config) LeavingRefusedFiles() {
	c.weaken = func(s *Server) { s.trusting.leaves = true }
}

// BelievingEveryMark is LeavingRefusedFiles of a server that takes whatever
// comes for the file that it waits for, as one does without marks.
func (c *Config) BelievingEveryMark() {
	c.weaken = func(s *Server) { s.trusting = trusting{leaves: true, believes: true} }
}

// MaxEaten is how much of a refused file is thrown away, in bytes.
const MaxEaten = maxEaten
