package hook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ftps/pkg/event"
	"ftps/pkg/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second

var (
	secret = []byte("0123456789abcdef")
	diego  = event.Session{ID: "12345678", Remote: netip.MustParseAddrPort("192.0.2.7:4000"), User: "diego"}
)

func upload(name string) event.TransferDone {
	return event.TransferDone{Session: diego, Direction: event.Upload, Verb: "STOR", Name: name, Bytes: 5, Code: 226}
}

// receiver is somebody who is told, and answers as the test says.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	notes  []Note
	forged int
	answer func(try int) int // the status; nil is 204
	tries  int
	more   chan struct{}
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{more: make(chan struct{}, 10000)}
	r.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		defer func() { r.more <- struct{}{} }()
		r.tries++
		code := http.StatusNoContent
		if r.answer != nil {
			code = r.answer(r.tries)
		}
		if q.Header.Get(Signature) != Sign(secret, body) {
			r.forged++
		}
		if code < 300 {
			var n Note
			json.Unmarshal(body, &n)
			r.notes = append(r.notes, n)
		}
		if code == http.StatusFound {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(code)
	}))
	t.Cleanup(r.Close)
	return r
}

// webhook posts to r, whose certificate it trusts.
func (r *receiver) webhook(t *testing.T, failed func(error)) *Webhook {
	t.Helper()
	client := r.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	w, err := NewWebhook(WebhookOptions{URL: r.URL, Secret: secret, Client: client, Failed: failed, tries: 3, pause: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func finish(t *testing.T, c interface{ Close(context.Context) }) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c.Close(ctx)
	if ctx.Err() != nil {
		t.Error("it did not end")
	}
}

func TestAWebhookIsToldInOrderSignedAndOnce(t *testing.T) {
	r := newReceiver(t)
	w := r.webhook(t, nil)
	w.Handle(event.LoggedIn{Session: diego})
	w.Handle(event.TransferStarted{Session: diego}) // nobody's business yet
	w.Handle(event.TransferDone{Session: diego, Direction: event.Listing})
	for i := range 20 {
		w.Handle(upload(fmt.Sprintf("/%d", i)))
	}
	w.Handle(event.Changed{Session: diego, Verb: "RNTO", Name: "/1", To: "/one"})
	finish(t, w)
	if got := w.Counts(); got != (Counts{Delivered: 22}) || r.forged != 0 {
		t.Errorf("%+v, %d forged", got, r.forged)
	}
	ids := make(map[string]bool)
	for i, n := range r.notes {
		ids[n.ID] = true
		if i > 0 && i < 21 && (n.Event != "upload" || n.Name != fmt.Sprintf("/%d", i-1) || !n.Whole || n.Remote != "192.0.2.7") {
			t.Errorf("%d: %+v", i, n)
		}
	}
	if len(ids) != 22 || r.notes[0].Event != "login" || r.notes[21].To != "/one" {
		t.Errorf("%+v", r.notes)
	}
}

func TestAWebhookThatIsNotTakenIsTriedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(int) int
		tries  int
		want   Counts
	}{
		"at the third try it is":   {func(try int) int { return []int{0, 500, 429, 200}[min(try, 3)] }, 3, Counts{Delivered: 1}},
		"never":                    {func(int) int { return 503 }, 3, Counts{Failed: 1}},
		"no is no":                 {func(int) int { return 403 }, 1, Counts{Failed: 1}},
		"another place is no here": {func(int) int { return http.StatusFound }, 1, Counts{Failed: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t)
			r.answer = c.answer
			var failed []error
			w := r.webhook(t, func(err error) { failed = append(failed, err) })
			w.Handle(upload("/a"))
			finish(t, w)
			if w.Counts() != c.want || r.tries != c.tries || r.forged != 0 || int64(len(failed)) != c.want.Failed {
				t.Errorf("%+v, %d tries, told %v", w.Counts(), r.tries, failed)
			}
		})
	}
}

func TestAWebhookGoesToNobodyWhoIsNotVerified(t *testing.T) {
	r := newReceiver(t)
	r.Config.ErrorLog = nil
	w, err := NewWebhook(WebhookOptions{URL: r.URL, Secret: secret, tries: 1})
	if err != nil {
		t.Fatal(err)
	}
	w.Handle(upload("/a"))
	finish(t, w)
	if w.Counts().Failed != 1 || r.tries != 0 {
		t.Errorf("%+v, %d tries", w.Counts(), r.tries)
	}
	for _, o := range []WebhookOptions{
		{URL: "http://example.com/", Secret: secret},
		{URL: "ftp://127.0.0.1/", Secret: secret},
		{URL: "https://", Secret: secret},
		{URL: "https://example.com/", Secret: []byte("short")},
	} {
		if w, err := NewWebhook(o); err == nil {
			finish(t, w)
			t.Errorf("%s was taken", o.URL)
		}
	}
}

func TestAFullQueueLosesAndCountsAndNeverBlocks(t *testing.T) {
	var q queue
	busy, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	q.begin(1, 2, func(context.Context, Note) error { once.Do(func() { close(busy) }); <-goOn; return nil })
	q.Handle(upload("/0"))
	<-busy
	for i := range 10 {
		q.Handle(upload(fmt.Sprint("/", i)))
	}
	close(goOn)
	finish(t, &q)
	q.Handle(upload("/late"))
	if got := q.Counts(); got != (Counts{Delivered: 3, Lost: 9}) {
		t.Errorf("%+v", got)
	}
}

func TestTheEndDoesNotWaitForWhoDoesNotAnswer(t *testing.T) {
	var q queue
	q.begin(1, 10, func(ctx context.Context, _ Note) error { <-ctx.Done(); return ctx.Err() })
	q.Handle(upload("/a"))
	q.Handle(upload("/b"))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	q.Close(ctx)
	if got := q.Counts(); got != (Counts{Lost: 2}) {
		t.Errorf("%+v", got)
	}
}

// script writes a program that a test runs.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hook")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAProgramGetsHostileNamesAsWordsAndNothingOfTheServers(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	t.Setenv("FTPS_WEBHOOK_SECRET", "of the server")
	p, err := NewProgram(ProgramOptions{
		Path: script(t, `{ printf '%s\n' "$#" "$@"; env; } >>"`+out+`"`+"\n"),
		Home: func(user string) (string, bool) { return "/srv/" + user, user == "diego" },
	})
	if err != nil {
		t.Fatal(err)
	}
	name := "/$(touch pwned) ;`x` 'a' \"b\" *"
	p.Handle(event.Changed{Session: diego, Verb: "RNTO", Name: name, To: "/--help"})
	finish(t, p)
	raw, err := os.ReadFile(out)
	got := string(raw)
	if err != nil || !strings.HasPrefix(got, "4\nchanged\ndiego\n"+name+"\n/--help\n") {
		t.Fatalf("%q, %v", got, err)
	}
	for _, want := range []string{"FTPS_NAME=" + name + "\n", "FTPS_HOME=/srv/diego\n", "FTPS_REMOTE=192.0.2.7\n", "PATH=/usr/local/bin:/usr/bin:/bin\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
	if strings.Contains(got, "of the server") {
		t.Error("it has the server's environment")
	}
	if p.Counts() != (Counts{Delivered: 1}) {
		t.Errorf("%+v", p.Counts())
	}
}

func TestAProgramThatFailsOrTakesTooLongIsTold(t *testing.T) {
	for text, c := range map[string]struct {
		time time.Duration
		key  string
	}{
		"echo it went wrong >&2; exit 3": {patience, "exit status 3"},
		"sleep 600 & sleep 600":          {time.Second, "hook.program.slow"},
	} {
		failed := make(chan error, 1)
		p, err := NewProgram(ProgramOptions{Path: script(t, text), Time: c.time, Failed: func(err error) { failed <- err }})
		if err != nil {
			t.Fatal(err)
		}
		p.Handle(upload("/a"))
		finish(t, p)
		if p.Counts() != (Counts{Failed: 1}) {
			t.Errorf("%s: %+v", text, p.Counts())
		}
		if err := <-failed; !strings.Contains(err.Error(), c.key) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestAProgramThatOthersMayChangeIsRefused(t *testing.T) {
	open := script(t, "exit 0")
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	plain := script(t, "exit 0")
	if err := os.Chmod(plain, 0o644); err != nil {
		t.Fatal(err)
	}
	for path, key := range map[string]string{
		open: "hook.program.open", plain: "hook.program.mode", filepath.Dir(plain): "hook.program.mode",
		"hook": "hook.program.relative", "/nowhere/hook": "hook.program.failed",
	} {
		_, err := NewProgram(ProgramOptions{Path: path})
		var f *fault.Error
		if !errors.As(err, &f) || f.Key != key {
			t.Errorf("%s: %v", path, err)
		}
	}
}
