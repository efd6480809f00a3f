package mirror_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"ftps/pkg/ftpclient"
	"ftps/pkg/ftptest"
	"ftps/pkg/mirror"
	"ftps/pkg/vfs"
	"ftps/pkg/vfs/jail"
)

// limited breaks a connection after so many bytes in one direction.
type limited struct {
	net.Conn
	left *atomic.Int64
	in   bool
}

func (l *limited) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b)
	if l.in && l.left.Add(-int64(n)) < 0 {
		l.Close()
		return 0, io.ErrClosedPipe
	}
	return n, err
}

func (l *limited) Write(b []byte) (int, error) {
	if !l.in && l.left.Add(-int64(len(b))) < 0 {
		l.Close()
		return 0, io.ErrClosedPipe
	}
	return l.Conn.Write(b)
}

// over starts our own server with the tree given.
func over(t testing.TB, tree vfs.FS, change ...func(*ftpclient.Config)) func(context.Context) (*ftpclient.Conn, error) {
	t.Helper()
	s := ftptest.Start(t, ftptest.Options{Accounts: []ftptest.Account{{Name: "diego", Password: "secreto", FS: tree}}})
	return func(ctx context.Context) (*ftpclient.Conn, error) {
		cfg := ftpclient.Config{
			Address: s.Addr.String(), ServerName: ftptest.ServerName, TLS: &tls.Config{RootCAs: s.Pool},
			Timeout: 30 * time.Second,
		}
		for _, f := range change {
			f(&cfg)
		}
		c, err := ftpclient.Dial(ctx, cfg)
		if err != nil {
			return nil, err
		}
		if err := c.Login(ctx, "diego", "secreto"); err != nil {
			c.Close()
			return nil, err
		}
		return c, nil
	}
}

// ours starts our own server over a real folder. Data connections break
// after budget bytes in the direction in, once budget is set.
func ours(t testing.TB, budget *atomic.Int64, in bool) (func(context.Context) (*ftpclient.Conn, error), string) {
	t.Helper()
	home := t.TempDir()
	tree, err := jail.Open(home, jail.Options{Account: "diego", NoSync: true, Umask: 0o022})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tree.Close() })
	s := ftptest.Start(t, ftptest.Options{Accounts: []ftptest.Account{{Name: "diego", Password: "secreto", FS: tree}}})
	return breaking(s, budget, in), home
}

// breaking dials our own server; data connections break after budget bytes in
// the direction in, once budget is set.
func breaking(s *ftptest.Server, budget *atomic.Int64, in bool) func(context.Context) (*ftpclient.Conn, error) {
	return func(ctx context.Context) (*ftpclient.Conn, error) {
		c, err := ftpclient.Dial(ctx, ftpclient.Config{
			Address: s.Addr.String(), ServerName: ftptest.ServerName, TLS: &tls.Config{RootCAs: s.Pool},
			Timeout: 30 * time.Second,
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				c, err := (&net.Dialer{}).DialContext(ctx, network, address)
				if err == nil && address != s.Addr.String() && budget.Load() > 0 {
					c = &limited{c, budget, in}
				}
				return c, err
			},
		})
		if err != nil {
			return nil, err
		}
		if err := c.Login(ctx, "diego", "secreto"); err != nil {
			c.Close()
			return nil, err
		}
		return c, nil
	}
}

func TestATreeTravelsBothWaysWithOurOwnServer(t *testing.T) {
	dial, home := ours(t, new(atomic.Int64), false)
	from := t.TempDir()
	for i := range 150 {
		write(t, filepath.Join(from, fmt.Sprint(i%7), fmt.Sprintf("%d ñ", i)), content(i*i*10), longAgo)
	}
	for i, name := range awkward {
		write(t, filepath.Join(from, "awkward", name), content(i), longAgo)
	}
	tr := mirror.New(mirror.Config{Dial: dial, Jobs: 4, NoSync: true, Records: t.TempDir()})
	defer tr.Close()
	if r, err := tr.Put(within(t), from, "/up", mirror.Options{Recursive: true}); err != nil {
		t.Fatalf("Put: %v %+v", err, r)
	}
	to := filepath.Join(t.TempDir(), "down")
	if r, err := tr.Get(within(t), "/up", to, mirror.Options{Recursive: true}); err != nil {
		t.Fatalf("Get: %v %+v", err, r)
	}
	want := files(t, from)
	if got := files(t, filepath.Join(home, "up")); !maps.Equal(got, want) {
		t.Errorf("on the server %d names, want %d, or their content differs", len(got), len(want))
	}
	if got := files(t, to); !maps.Equal(got, want) {
		t.Errorf("%d names came back, want %d, or their content differs", len(got), len(want))
	}
}

func TestCutAnywhereAndResumedWithOurOwnServer(t *testing.T) {
	const size = 1 << 20
	want := content(size)
	for _, at := range []int64{1, 4_000, 100_000, 500_000, size - 1, size + 1000} {
		for _, in := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d/download=%v", at, in), func(t *testing.T) {
				budget := new(atomic.Int64)
				dial, home := ours(t, budget, in)
				tr := mirror.New(mirror.Config{Dial: dial, Jobs: 1, NoSync: true, Records: t.TempDir()})
				defer tr.Close()
				local, remote := filepath.Join(t.TempDir(), "f"), filepath.Join(home, "f")
				move := func() (mirror.Result, error) {
					o := mirror.Options{Resume: true}
					if in {
						return tr.Get(within(t), "/f", local, o)
					}
					return tr.Put(within(t), local, "/f", o)
				}
				source, target := local, remote
				if in {
					source, target = remote, local
				}
				write(t, source, want, longAgo)
				budget.Store(at)
				for try := 0; ; try++ {
					r, err := move()
					got, readErr := os.ReadFile(target)
					if err == nil {
						if !bytes.Equal(got, want) {
							t.Fatalf("done, and %d bytes differ", len(got))
						}
						if try == 0 && at < size {
							t.Error("was not cut")
						}
						if at >= 500_000 && r.Bytes >= size {
							t.Error("sent again from the first byte")
						}
						return
					}
					if readErr == nil && !bytes.Equal(got, want) {
						t.Fatalf("half a file in sight after %v", err)
					}
					if try == 3 {
						t.Fatalf("does not come to an end: %v", err)
					}
					budget.Store(0)
				}
			})
		}
	}
}
