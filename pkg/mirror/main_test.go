package mirror_test

import (
	"context"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ftps/pkg/ftpclient"
	"ftps/pkg/ftptest/hostile"
	"ftps/pkg/mirror"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func content(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)}).Read(b)
	return b
}

// long ago, and to the second, as servers keep times.
var longAgo = time.Date(2021, 3, 4, 5, 6, 7, 0, time.UTC)

// events notes what a transfer tells.
type events struct {
	mu  sync.Mutex
	all []mirror.Event
}

func (e *events) add(ev mirror.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, ev)
}

// of returns the events of one kind.
func of[T mirror.Event](e *events) []T {
	e.mu.Lock()
	defer e.mu.Unlock()
	var found []T
	for _, ev := range e.all {
		if v, ok := ev.(T); ok {
			found = append(found, v)
		}
	}
	return found
}

func dial(s *hostile.Server, change ...func(*ftpclient.Config)) func(context.Context) (*ftpclient.Conn, error) {
	return func(ctx context.Context) (*ftpclient.Conn, error) {
		cfg := ftpclient.Config{
			Address: s.Addr, TLS: s.Client(), Timeout: 30 * time.Second, FinalTimeout: 30 * time.Second,
		}
		for _, f := range change {
			f(&cfg)
		}
		c, err := ftpclient.Dial(ctx, cfg)
		if err != nil {
			return nil, err
		}
		if err := c.Login(ctx, hostile.User, hostile.Password); err != nil {
			c.Close()
			return nil, err
		}
		return c, nil
	}
}

// transfer returns a Transfer to s and what it tells.
func transfer(t *testing.T, s *hostile.Server, change func(*mirror.Config)) (*mirror.Transfer, *events) {
	e := &events{}
	cfg := mirror.Config{Dial: dial(s), Site: "test", Records: filepath.Join(t.TempDir(), "records"), Progress: e.add, NoSync: true}
	if change != nil {
		change(&cfg)
	}
	tr := mirror.New(cfg)
	t.Cleanup(tr.Close)
	return tr, e
}

// files returns what is below dir: content by path, folders with a slash.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == dir {
			return err
		}
		name, _ := filepath.Rel(dir, p)
		if d.Type()&fs.ModeSymlink != 0 {
			return nil
		}
		if d.IsDir() {
			found[name+"/"] = ""
			return nil
		}
		b, err := os.ReadFile(p)
		found[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func write(t testing.TB, name string, b []byte, when time.Time) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(name, when, when); err != nil {
		t.Fatal(err)
	}
}
