package ftpserver_test

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"ftps/pkg/ftpserver"
	"ftps/pkg/ftptest"
	"ftps/pkg/limit"
	"ftps/pkg/vfs"
	"ftps/pkg/vfs/memfs"
)

// dripping serves with a floor in bytes a second over a short window.
func dripping(t *testing.T, floor int64) *ftptest.Conn {
	return drippingFrom(t, floor, 200*time.Millisecond, nil)
}

func drippingFrom(t *testing.T, floor int64, window time.Duration, tree vfs.FS) *ftptest.Conn {
	accounts := []ftptest.Account{{Name: "diego", Password: "secreto", FS: tree}}
	s := ftptest.Start(t, ftptest.Options{Accounts: accounts, Server: func(c *ftpserver.Config) {
		c.MinRate = floor
		c.Window(window)
	}})
	return s.Login(t, "diego", "secreto")
}

// drip uploads so many pieces, one every ten milliseconds, for as long as the
// server takes them.
func drip(c *ftptest.Conn, pieces int, piece string) (code int) {
	conn := c.Secure(c.OpenData(c.Passive()))
	c.Send("STOR f")
	c.Expect(150)
	beat := time.NewTicker(10 * time.Millisecond)
	defer beat.Stop()
	for range pieces {
		<-beat.C
		if _, err := io.WriteString(conn, piece); err != nil {
			break
		}
	}
	conn.CloseWrite()
	io.Copy(io.Discard, conn)
	conn.Close()
	code, _, _ = c.Read()
	return code
}

func TestADripOfBytesDoesNotHoldATransferForEver(t *testing.T) {
	c := dripping(t, 1000)
	if code := drip(c, 100, "x"); code != 426 {
		t.Errorf("a byte every 10 ms: %d", code)
	}
	c.Cmd(200, "NOOP") // the session goes on
}

// One piece in a window is enough: a busy machine may well stand still for
// longer than a short one.
func TestWhoSendsAHundredTimesTheLeastRateIsNotTooSlow(t *testing.T) {
	t.Parallel()
	c := drippingFrom(t, 1000, time.Second, nil)
	if code := drip(c, 220, string(make([]byte, 1000))); code != 226 {
		t.Errorf("over two windows: %d", code)
	}
}

// The negative control.
func TestWithoutALeastRateADripIsWaitedFor(t *testing.T) {
	if code := drip(dripping(t, 0), 100, "x"); code != 226 {
		t.Errorf("%d: this shows nothing", code)
	}
}

func TestAReaderOfAFewBytesDoesNotHoldADownloadForEver(t *testing.T) {
	// The floor holds for uploads as well, so the file comes another way.
	tree := memfs.New()
	name, err := vfs.Resolve(vfs.Name{}, "f")
	if err != nil {
		t.Fatal(err)
	}
	u, err := tree.Create(t.Context(), name, vfs.How{Size: -1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Write(make([]byte, 32<<20)); err != nil {
		t.Fatal(err)
	}
	if err := u.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := drippingFrom(t, 1<<30, 200*time.Millisecond, tree)
	conn := c.Secure(c.OpenData(c.Passive()))
	c.Send("RETR f")
	c.Expect(150)
	beat := time.NewTicker(10 * time.Millisecond)
	defer beat.Stop()
	done := make(chan int, 1)
	go func() {
		code, _, _ := c.Read()
		done <- code
	}()
	deadline := time.After(ftptest.Patience)
	piece := make([]byte, 64<<10)
	for {
		select {
		case code := <-done:
			if code != 426 {
				t.Errorf("a reader of 6 MB/s where the least is 1 GiB/s: %d", code)
			}
			return
		case <-beat.C:
			conn.Read(piece)
		case <-deadline:
			t.Fatal("still waited for")
		}
	}
}

// slowed gives every account a rate.
type slowed struct {
	ftpserver.Backend
	rate *limit.Rate
}

func (s slowed) Login(ctx context.Context, a ftpserver.Attempt) (*ftpserver.Account, error) {
	account, err := s.Backend.Login(ctx, a)
	if err == nil {
		account.Up, account.Down = s.rate, s.rate
	}
	return account, err
}

func TestTheAccountsOwnRateIsNotTooSlow(t *testing.T) {
	t.Parallel()
	s := ftptest.Start(t, ftptest.Options{Server: func(c *ftpserver.Config) {
		c.MinRate = 1 << 20
		c.Window(time.Second)
		c.Backend = slowed{c.Backend, limit.NewRate(100)}
	}})
	c := s.Login(t, "diego", "secreto")
	data := bytes.Repeat([]byte("x"), 130) // longer than a window
	if code := c.Upload(data, "STOR f"); code != 226 {
		t.Errorf("up: %d", code)
	}
	if got, code := c.Download("RETR f"); code != 226 || !bytes.Equal(got, data) {
		t.Errorf("down: %d, %d bytes", code, len(got))
	}
}

// A line that comes byte by byte is no activity: the clock of who says
// nothing runs on.
func TestADripOfACommandIsSilence(t *testing.T) {
	const limit = 300 * time.Millisecond
	for name, test := range map[string]struct {
		limit func(*ftpserver.Config)
		dial  func(*ftptest.Server) *ftptest.Conn
	}{
		"logged in": {func(c *ftpserver.Config) { c.IdleTimeout = limit }, func(s *ftptest.Server) *ftptest.Conn {
			c := secured(t, s)
			c.Cmd(331, "USER diego")
			c.Cmd(230, "PASS secreto") // from here on its clock runs
			return c
		}},
		"before login": {func(c *ftpserver.Config) { c.LoginTimeout = limit }, func(s *ftptest.Server) *ftptest.Conn {
			c := s.Dial(t)
			c.Expect(220)
			return c
		}},
	} {
		c := test.dial(ftptest.Start(t, ftptest.Options{Server: test.limit}))
		over := make(chan struct{})
		go func() {
			defer close(over)
			beat := time.NewTicker(50 * time.Millisecond)
			defer beat.Stop()
			for range 100 {
				<-beat.C
				if _, err := c.Raw().Write([]byte("x")); err != nil {
					return
				}
			}
		}()
		code, _, err := c.Read()
		if err != nil || code != 421 {
			t.Errorf("%s: %d, %v", name, code, err)
		}
		c.Raw().Close()
		<-over
	}
}

func TestASessionMayLastSoLongAndItsTransferToTheEnd(t *testing.T) {
	t.Parallel()
	s := ftptest.Start(t, ftptest.Options{Server: func(c *ftpserver.Config) { c.SessionTimeout = 2 * time.Second }})
	c := s.Login(t, "diego", "secreto")
	began := time.Now()
	if code := drip(c, 220, "x"); code != 226 { // takes longer than the session may
		t.Errorf("the transfer in progress: %d", code)
	}
	c.Expect(421)
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("ended after %v", took)
	}
	// Who works all the time is no exception.
	c = s.Login(t, "diego", "secreto")
	for code := 0; code != 421; {
		c.Send("NOOP")
		var err error
		if code, _, err = c.Read(); err != nil {
			t.Fatal(err)
		}
	}
}
