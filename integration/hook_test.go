package integration

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The signature is checked as who receives it would, without our code.
func TestTheWebhookAndTheProgramAreToldOfAnUpload(t *testing.T) {
	const secret = "a secret of 24 bytes ..."
	type note struct{ Event, User, Name, Session string }
	notes := make(chan note, 100)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(body)
		if got := r.Header.Get("Ftps-Signature"); got != "sha256="+hex.EncodeToString(mac.Sum(nil)) {
			t.Errorf("the signature is %q", got)
		}
		var n note
		if err := json.Unmarshal(body, &n); err != nil {
			t.Error(err)
		}
		notes <- n
	}))
	defer receiver.Close()
	dir := t.TempDir()
	account(t, dir, "diego", "secreto")
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	hook := filepath.Join(dir, "hook")
	// It moves what came, as hooks do.
	program := "#!/bin/sh\n[ \"$1\" = upload ] && mv \"$FTPS_HOME$3\" \"$FTPS_HOME$3.taken\" 2>/dev/null\nexit 0\n"
	if err := os.WriteFile(hook, []byte(program), 0o755); err != nil {
		t.Fatal(err)
	}
	s := serveIn(t, dir, "--webhook", receiver.URL, "--webhook-secret-file", "secret", "--hook", hook)
	local := filepath.Join(dir, "a b")
	if err := os.WriteFile(local, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs, code := s.client(t, "diego", "secreto", "put", local, "a; b"); code != 0 {
		t.Fatalf("exit %d: %s", code, errs)
	}
	for want := range strings.FieldsSeq("login upload") {
		select {
		case n := <-notes:
			if n.Event != want || n.User != "diego" || n.Session == "" || want == "upload" && n.Name != "/a; b" {
				t.Errorf("%s: %+v", want, n)
			}
		case <-time.After(patience):
			t.Fatalf("no %s", want)
		}
	}
	deadline := time.Now().Add(patience)
	for {
		if raw, err := os.ReadFile(filepath.Join(dir, "srv", "diego", "a; b.taken")); err == nil && string(raw) == "hello" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the program did not take the file")
		}
		time.Sleep(20 * time.Millisecond)
	}
	if strings.Contains(s.out.String(), secret) {
		t.Error("the secret is in the log")
	}
}

func TestAWebhookWithoutASecretDoesNotStart(t *testing.T) {
	for _, args := range [][]string{{"--webhook", "https://example.com/"}, {"--hook", "hook"}} {
		dir := t.TempDir()
		args = append([]string{"server", "--no-console", "-H", "127.0.0.1", "-C", "0", "-D", "0", "--run-as", "root"}, args...)
		if os.Getuid() != 0 {
			args = append(args[:8], args[10:]...)
		}
		_, errs, code := run(t, dir, "", args...)
		if code == 0 || !strings.Contains(errs, args[len(args)-2]) && !strings.Contains(errs, "secret") {
			t.Errorf("%v: exit %d\n%s", args, code, errs)
		}
	}
}
