package ftpclient_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"ftps/pkg/event"
	"ftps/pkg/ftpclient"
	"ftps/pkg/ftptest"
)

// real connects to our own server and logs in.
func real(t *testing.T, s *ftptest.Server, change func(*ftpclient.Config)) *ftpclient.Conn {
	t.Helper()
	cfg := ftpclient.Config{
		Address: s.Addr.String(), ServerName: ftptest.ServerName, TLS: &tls.Config{RootCAs: s.Pool},
		Timeout: 30 * time.Second, FinalTimeout: 30 * time.Second,
	}
	if change != nil {
		change(&cfg)
	}
	c, err := ftpclient.Dial(within(t), cfg)
	if err != nil {
		t.Fatalf("Dial: %v", err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.Login(within(t), "diego", "secreto"); err != nil {
		t.Fatalf("Login: %v", err)
	}
	return c
}

func TestWithOurOwnServer(t *testing.T) {
	for _, v := range []struct {
		name     string
		implicit bool
		active   bool
		version  uint16
	}{
		{name: "TLS 1.3"},
		{name: "TLS 1.2", version: tls.VersionTLS12},
		{name: "implicit", implicit: true},
		{name: "active", active: true},
	} {
		t.Run(v.name, func(t *testing.T) {
			s := ftptest.Start(t, ftptest.Options{Implicit: v.implicit})
			c := real(t, s, func(cfg *ftpclient.Config) {
				cfg.Implicit, cfg.Active, cfg.TLS.MaxVersion, cfg.Lang = v.implicit, v.active, v.version, "es"
			})
			if v.active && !c.Features().Has("EPRT") {
				t.Skip("the server has no active mode")
			}
			if err := c.Mkdir(within(t), "/carpeta"); err != nil {
				t.Fatal(err)
			}
			for _, n := range []int{0, 1, 1 << 20} {
				want, name := content(n), fmt.Sprintf("/carpeta/%d bytes ñ", n)
				if err := put(t, c, name, want, ftpclient.StoreOptions{Size: int64(n)}); err != nil {
					t.Fatalf("put %d: %v", n, err)
				}
				got, err := get(t, c, name, 0)
				if err != nil || !bytes.Equal(got, want) {
					t.Fatalf("get %d: %d bytes, %v", n, len(got), err)
				}
				if size, err := c.Size(within(t), name); err != nil || size != int64(n) {
					t.Errorf("Size: %d, %v", size, err)
				}
				if c.Features().Has("HASH") {
					h, err := c.Hash(within(t), name)
					if sum := sha256.Sum256(want); err != nil || !bytes.Equal(h.Sum, sum[:]) {
						t.Errorf("Hash: %+v, %v", h, err)
					}
				}
			}
			n := 0
			for e, err := range c.List(within(t), "/carpeta") {
				if err != nil || e.Size < 0 || !e.Precise {
					t.Errorf("%+v, %v", e, err)
				}
				n++
			}
			if n != 3 {
				t.Errorf("%d entries", n)
			}
			_, err := c.Retrieve(within(t), "/nothing", 0)
			if ftpclient.Class(err) != ftpclient.NotFound {
				t.Errorf("missing file: %v", err)
			}
			if err := c.Cwd(within(t), ".."); ftpclient.Class(err) != ftpclient.NoPermission {
				t.Errorf("above the root: %v (class %d)", err, ftpclient.Class(err))
			}
			if err := c.Quit(within(t)); err != nil {
				t.Error(err)
			}
			for _, ev := range s.Events.All() {
				if done, ok := ev.(event.TransferDone); ok && done.Code/100 == 2 && done.Bound != "session" {
					t.Errorf("%s %s was bound to %q", done.Verb, done.Name, done.Bound)
				}
			}
		})
	}
}

func TestCancellingWithOurOwnServer(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := real(t, s, nil)
	if err := put(t, c, "/big", content(8<<20), ftpclient.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		ctx, cancel := context.WithCancel(within(t))
		d, err := c.Retrieve(ctx, "/big", 0)
		if err != nil {
			t.Fatal(err)
		}
		io.CopyN(io.Discard, d, 10_000)
		cancel()
		if err := d.Close(); err == nil {
			t.Error("a cancelled download is whole")
		}
		inStep(t, c)

		ctx, cancel = context.WithCancel(within(t))
		u, err := c.Store(ctx, "/up", ftpclient.StoreOptions{})
		if err != nil {
			t.Fatal(err)
		}
		u.Write(content(10_000))
		cancel()
		if err := u.Close(); !errors.Is(err, context.Canceled) {
			t.Errorf("upload: %v", err)
		}
		inStep(t, c)
		if _, err := c.Retrieve(within(t), "/up", 0); ftpclient.Class(err) != ftpclient.NotFound {
			t.Errorf("a cancelled upload can be read: %v", err)
		}
	}
}
