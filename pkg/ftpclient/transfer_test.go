package ftpclient_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"ftps/pkg/ftpclient"
	"ftps/pkg/ftptest/hostile"
)

// content is n bytes that no compression or repetition would hide.
func content(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n)}).Read(b)
	return b
}

func get(t *testing.T, c *ftpclient.Conn, name string, offset int64) ([]byte, error) {
	t.Helper()
	d, err := c.Retrieve(within(t), name, offset)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(d)
	if closeErr := d.Close(); (err == nil) != (closeErr == nil) {
		t.Errorf("Read said %v and Close %v", err, closeErr)
	}
	return b, err
}

func put(t *testing.T, c *ftpclient.Conn, name string, b []byte, o ftpclient.StoreOptions) error {
	t.Helper()
	u, err := c.Store(within(t), name, o)
	if err != nil {
		return err
	}
	if _, err := u.Write(b); err != nil {
		return errors.Join(err, u.Close())
	}
	return u.Close()
}

// ways are the manners of servers that a client must all get along with.
var ways = map[string]hostile.Options{
	"handshake after the 150":            {RequireReuse: true},
	"handshake before the 150":           {RequireReuse: true, EarlyTLS: true},
	"TLS 1.2":                            {RequireReuse: true, MaxVersion: tls.VersionTLS12},
	"TLS 1.2, handshake before the 150":  {RequireReuse: true, EarlyTLS: true, MaxVersion: tls.VersionTLS12},
	"implicit TLS":                       {RequireReuse: true, Implicit: true},
	"no EPSV":                            {RequireReuse: true, Hooks: refuse("EPSV", 500)},
	"no MLSD, and FEAT that tells it":    {RequireReuse: true, Features: []string{"UTF8"}},
	"no FEAT":                            {RequireReuse: true, Hooks: refuse("FEAT", 502)},
	"MLSD announced and then not obeyed": {RequireReuse: true, Hooks: refuse("MLSD", 500)},
}

type hooks = map[string]func(*hostile.Session, string) bool

func refuse(verb string, code int) hooks {
	return hooks{verb: func(s *hostile.Session, _ string) bool { s.Reply(code, "no"); return true }}
}

func TestFilesTravelBothWaysWithEveryKindOfServer(t *testing.T) {
	for name, o := range ways {
		for _, active := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/active=%v", name, active), func(t *testing.T) {
				t.Parallel()
				s := hostile.Start(t, o)
				c := login(t, s, func(cfg *ftpclient.Config) { cfg.Implicit, cfg.Active = o.Implicit, active })
				for _, n := range []int{0, 1, 3 << 20} {
					want := content(n)
					name := fmt.Sprintf("/file %d ñ", n)
					if err := put(t, c, name, want, ftpclient.StoreOptions{}); err != nil {
						t.Fatalf("put %d bytes: %v", n, err)
					}
					got, err := get(t, c, name, 0)
					if err != nil || !bytes.Equal(got, want) {
						t.Fatalf("get %d bytes: %d bytes, %v", n, len(got), err)
					}
					var names []string
					for e, err := range c.List(within(t), "") {
						if err != nil {
							t.Fatalf("list: %v", err)
						}
						names = append(names, e.Name)
					}
					if len(names) == 0 || names[0] != "file 0 ñ" {
						t.Fatalf("listed %q", names)
					}
				}
				for i, stamp := range s.Stamps() {
					if stamp != "0/control" {
						t.Errorf("data connection %d resumed %q, want the control connection's own ticket", i, stamp)
					}
				}
				if err := c.Quit(within(t)); err != nil {
					t.Errorf("Quit: %v", err)
				}
			})
		}
	}
}

func TestUploadAgainstAServerThatReadsSlowlyLosesNoTail(t *testing.T) {
	// The server sends tickets that nobody reads, and takes its time. With a
	// plain Close the kernel would answer the rest with a reset.
	want := content(3 << 20)
	got := make(chan []byte, 1)
	s := hostile.Start(t, hostile.Options{Hooks: hooks{"STOR": func(c *hostile.Session, _ string) bool {
		c.Reply(150, "go")
		tc, _, _, err := c.Data()
		if err != nil {
			t.Error(err)
			return true
		}
		var b bytes.Buffer
		for {
			time.Sleep(2 * time.Millisecond)
			if _, err = io.CopyN(&b, tc, 64<<10); err != nil {
				break
			}
		}
		tc.Close()
		got <- b.Bytes()
		c.Reply(226, "stored")
		return true
	}}})
	c := login(t, s, nil)
	if err := put(t, c, "/slow", want, ftpclient.StoreOptions{}); err != nil {
		t.Fatalf("put: %v", err)
	}
	if b := <-got; !bytes.Equal(b, want) {
		t.Errorf("%d of %d bytes arrived", len(b), len(want))
	}
}

func TestResumeGoesOnAtTheOffset(t *testing.T) {
	s := hostile.Start(t, hostile.Options{})
	c := login(t, s, nil)
	want := content(100_000)
	s.Put("/f", want, time.Now())
	if got, err := get(t, c, "/f", 70_000); err != nil || !bytes.Equal(got, want[70_000:]) {
		t.Errorf("get from 70000: %d bytes, %v", len(got), err)
	}
	s.Put("/g", want[:70_000], time.Now())
	if err := put(t, c, "/g", want[60_000:], ftpclient.StoreOptions{Offset: 60_000}); err != nil {
		t.Fatal(err)
	}
	s.Put("/h", want[:1], time.Now())
	if err := put(t, c, "/h", want[1:], ftpclient.StoreOptions{Append: true}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/g", "/h"} {
		if f, _ := s.File(name); !bytes.Equal(f.Data, want) {
			t.Errorf("%s has %d bytes", name, len(f.Data))
		}
	}
}

func TestTruncatedDownloadsAreNeverWhole(t *testing.T) {
	half := func(code int, clean bool) hooks {
		return hooks{"RETR": func(s *hostile.Session, _ string) bool {
			s.Reply(150, "go")
			tc, raw, _, err := s.Data()
			if err != nil {
				t.Error(err)
				return true
			}
			tc.Write(content(100))
			if clean {
				tc.CloseWrite()
			}
			raw.(interface{ CloseWrite() error }).CloseWrite()
			io.Copy(io.Discard, raw)
			raw.Close()
			s.Reply(code, "so it is")
			return true
		}}
	}
	for _, v := range []struct {
		name  string
		hooks hooks
		want  error
		class ftpclient.ClassCode
	}{
		{"FIN without close_notify, then 426", half(426, false), ftpclient.ErrTruncated, ftpclient.Damaged},
		{"FIN without close_notify, then 226", half(226, false), ftpclient.ErrUnclean, ftpclient.Damaged},
		{"close_notify, then 426", half(426, true), nil, ftpclient.Damaged},
		{"close_notify, then 226", half(226, true), nil, ftpclient.Done},
	} {
		t.Run(v.name, func(t *testing.T) {
			s := hostile.Start(t, hostile.Options{Hooks: v.hooks})
			c := login(t, s, nil)
			_, err := get(t, c, "/f", 0)
			if v.want != nil && !errors.Is(err, v.want) || ftpclient.Class(err) != v.class {
				t.Errorf("got %v (class %d), want %v (class %d)", err, ftpclient.Class(err), v.want, v.class)
			}
			inStep(t, c)
		})
	}
}

func Test226WithoutDataIsNoFile(t *testing.T) {
	s := hostile.Start(t, hostile.Options{Hooks: hooks{"RETR": func(s *hostile.Session, _ string) bool {
		s.Reply(150, "go")
		tc, _, _, err := s.Data()
		if err != nil {
			t.Error(err)
			return true
		}
		s.Reply(226, "all sent")
		io.Copy(io.Discard, tc) // and says nothing, until the client gives up
		tc.Close()
		return true
	}}})
	c := login(t, s, func(cfg *ftpclient.Config) { cfg.Timeout = 2 * time.Second })
	if _, err := get(t, c, "/f", 0); !errors.Is(err, ftpclient.ErrTruncated) {
		t.Errorf("got %v", err)
	}
}

func Test226InPlaceOf150IsRefused(t *testing.T) {
	s := hostile.Start(t, hostile.Options{Hooks: hooks{"RETR": func(s *hostile.Session, _ string) bool {
		s.Reply(226, "all sent")
		return true
	}}})
	c := login(t, s, nil)
	var protocol *ftpclient.ProtocolError
	if _, err := get(t, c, "/f", 0); !errors.As(err, &protocol) {
		t.Errorf("got %v", err)
	}
	inStep(t, c)
}

func TestDataWithout226IsNotConfirmed(t *testing.T) {
	silent := func(s *hostile.Session, _ string) bool {
		s.Reply(150, "go")
		tc, _, _, err := s.Data()
		if err != nil {
			t.Error(err)
			return true
		}
		tc.Write([]byte("all of it"))
		tc.CloseWrite()
		io.Copy(io.Discard, tc)
		tc.Close()
		return true
	}
	short := func(cfg *ftpclient.Config) { cfg.FinalTimeout = 300 * time.Millisecond }
	s := hostile.Start(t, hostile.Options{Hooks: hooks{"RETR": silent, "STOR": silent}})
	c := login(t, s, short)
	if _, err := get(t, c, "/f", 0); !errors.Is(err, ftpclient.ErrTimeout) || ftpclient.Class(err) != ftpclient.TimedOut {
		t.Errorf("download: %v (class %d)", err, ftpclient.Class(err))
	}
	if c.Usable() {
		t.Error("a connection out of step is offered for use")
	}
	c = login(t, s, short)
	if err := put(t, c, "/f", []byte("x"), ftpclient.StoreOptions{}); !errors.Is(err, ftpclient.ErrUnconfirmed) {
		t.Errorf("upload: %v", err)
	}
}

func Test426AfterTheLastByteMayMeanStored(t *testing.T) {
	s := hostile.Start(t, hostile.Options{Hooks: hooks{"STOR": func(s *hostile.Session, _ string) bool {
		s.Reply(150, "go")
		tc, _, _, err := s.Data()
		if err != nil {
			t.Error(err)
			return true
		}
		io.Copy(io.Discard, tc)
		tc.Close()
		s.Reply(426, "hm")
		return true
	}}})
	c := login(t, s, nil)
	err := put(t, c, "/f", []byte("x"), ftpclient.StoreOptions{})
	var reply *ftpclient.ReplyError
	if !errors.Is(err, ftpclient.ErrUnconfirmed) || !errors.As(err, &reply) || reply.Reply.Code != 426 {
		t.Errorf("got %v", err)
	}
	inStep(t, c)
}

// Whatever the server says, a file whose connection it threw away unread is
// not simply stored: it is lost, or for the caller to compare.
func Test226ForAnUploadThatWasResetIsDoubted(t *testing.T) {
	s := hostile.Start(t, hostile.Options{Hooks: hooks{"STOR": func(s *hostile.Session, _ string) bool {
		s.Reply(150, "go")
		tc, raw, _, err := s.Data()
		if err != nil {
			t.Error(err)
			return true
		}
		tc.Read(make([]byte, 1))
		raw.Close() // the rest is unread: a reset
		s.Reply(226, "stored")
		return true
	}}})
	for _, size := range []int{100_000, 8 << 20} {
		c := login(t, s, nil)
		err := put(t, c, "/f", content(size), ftpclient.StoreOptions{})
		doubt := errors.Is(err, ftpclient.ErrUnclean) || errors.Is(err, ftpclient.ErrTruncated)
		lost := errors.Is(err, ftpclient.ErrDataLost)
		if !lost && !(doubt && size < 1<<20) {
			t.Errorf("%d bytes: %v", size, err)
		}
		inStep(t, c)
	}
}

func TestAServerWithoutCloseNotifyIsItsOwnState(t *testing.T) {
	s := hostile.Start(t, hostile.Options{NoCloseNotify: true})
	c := login(t, s, nil)
	want := content(200_000)
	if err := put(t, c, "/f", want, ftpclient.StoreOptions{}); !errors.Is(err, ftpclient.ErrUnclean) {
		t.Errorf("put: %v", err)
	}
	got, err := get(t, c, "/f", 0)
	if !errors.Is(err, ftpclient.ErrUnclean) || !bytes.Equal(got, want) {
		t.Errorf("get: %d bytes, %v", len(got), err)
	}
	inStep(t, c)
}

func TestAFullDiskIsReportedByItsReply(t *testing.T) {
	s := hostile.Start(t, hostile.Options{Hooks: hooks{"STOR": func(s *hostile.Session, _ string) bool {
		s.Reply(150, "go")
		tc, _, _, err := s.Data()
		if err != nil {
			t.Error(err)
			return true
		}
		io.CopyN(io.Discard, tc, 100_000)
		tc.Close()
		s.Reply(452, "disk full")
		return true
	}}})
	c := login(t, s, nil)
	err := put(t, c, "/f", content(20<<20), ftpclient.StoreOptions{})
	if ftpclient.Class(err) != ftpclient.NoSpace {
		t.Errorf("got %v (class %d)", err, ftpclient.Class(err))
	}
	inStep(t, c)
}

func TestCancellingATransferLeavesTheConnectionUsable(t *testing.T) {
	s := hostile.Start(t, hostile.Options{BlockSize: 1000})
	s.Put("/big", content(32<<20), time.Now())
	c := login(t, s, nil)

	ctx, cancel := context.WithCancel(within(t))
	d, err := c.Retrieve(ctx, "/big", 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, d, 100_000); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.Copy(io.Discard, d); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled download: %v", err)
	}
	if ftpclient.Class(d.Close()) != ftpclient.Interrupted {
		t.Errorf("verdict %v", d.Close())
	}
	inStep(t, c)

	ctx, cancel = context.WithCancel(within(t))
	u, err := c.Store(ctx, "/up", ftpclient.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Write(content(100_000)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := u.Close(); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled upload: %v", err)
	}
	inStep(t, c)

	d, err = c.Retrieve(within(t), "/big", 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); !errors.Is(err, ftpclient.ErrAborted) {
		t.Errorf("closed early: %v", err)
	}
	inStep(t, c)
	if n := s.Count("ABOR"); n != 3 {
		t.Errorf("%d ABOR were sent, want 3", n)
	}
}

func TestCancellingWhileTheServerThinksIsBounded(t *testing.T) {
	ctx, cancel := context.WithCancel(within(t))
	s := hostile.Start(t, hostile.Options{Hooks: hooks{"RETR": func(s *hostile.Session, _ string) bool {
		cancel()
		return true // no answer at all
	}}})
	c := login(t, s, nil)
	if _, err := c.Retrieve(ctx, "/f", 0); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	// The server answers ABOR alone, once: the dialogue is one reply short.
	if c.Usable() {
		t.Error("a connection out of step is offered for use")
	}
}

func TestAnAbandonedUploadIsNotTakenForWhole(t *testing.T) {
	ended := make(chan error, 1)
	s := hostile.Start(t, hostile.Options{Hooks: hooks{"STOR": func(s *hostile.Session, _ string) bool {
		s.Reply(150, "go")
		tc, raw, _, err := s.Data()
		if err != nil {
			t.Error(err)
			return true
		}
		// A careless server: below TLS, and every end is an end.
		_ = tc
		_, err = io.Copy(io.Discard, raw)
		ended <- err
		raw.Close()
		s.Reply(426, "cut")
		return true
	}}})
	c := login(t, s, nil)
	u, err := c.Store(within(t), "/f", ftpclient.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	u.Write(content(100_000))
	if err := u.Abort(); !errors.Is(err, ftpclient.ErrAborted) {
		t.Errorf("Abort: %v", err)
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "reset") {
		t.Errorf("the server saw %v, want a reset", err)
	}
	inStep(t, c)
}

func TestTheConnectionIsGuardedAgainstMisuse(t *testing.T) {
	s := hostile.Start(t, hostile.Options{})
	s.Put("/f", content(10), time.Now())
	c := login(t, s, nil)
	d, err := c.Retrieve(within(t), "/f", 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Noop(within(t)); !errors.Is(err, ftpclient.ErrInUse) {
		t.Errorf("a command in the middle of a transfer: %v", err)
	}
	io.Copy(io.Discard, d)
	d.Close()
	for range c.List(within(t), "/") {
		if err := c.Noop(within(t)); !errors.Is(err, ftpclient.ErrInUse) {
			t.Errorf("a command in the middle of a listing: %v", err)
		}
		break
	}
	inStep(t, c)
}
