package integration

import (
	"bytes"
	"crypto/sha256"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The real client is killed in the middle of an upload to the real server;
// then the beginning of the local file changes, and its size and time do not.
// What the server has is not the beginning of that file any more, and the
// client's record cannot know: the server's hash of the part must.
func TestAnUploadTakenUpAgainIsProvenByTheServersHashOfThePart(t *testing.T) {
	for name, change := range map[string]bool{"the local file is as it was": false, "its beginning changed": true} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t, []string{"diego", "secreto"})
			home := filepath.Join(s.dir, "srv", "diego")
			local, there := filepath.Join(s.dir, "film"), filepath.Join(home, "film")
			data := seeded(16<<20, 44) // seven seconds from where it is looked at to its end
			when := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
			put := func() {
				t.Helper()
				if err := os.WriteFile(local, data, 0o644); err != nil {
					t.Fatal(err)
				}
				if err := os.Chtimes(local, when, when); err != nil {
					t.Fatal(err)
				}
			}
			put()

			cmd := exec.Command(ftps, "client", "127.0.0.1", "-p", s.port, "--pin", s.pin, "-u", "diego", "--password-stdin",
				"--limit-rate", "2M", "put", local, "film")
			var out bytes.Buffer
			cmd.Dir, cmd.Env, cmd.Stdin = s.dir, cleanEnv(s.dir), strings.NewReader("secreto\n")
			cmd.Stdout, cmd.Stderr = &out, &out
			c := s.dial(t, "diego", "secreto")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			deadline := time.Now().Add(patience)
			for grown := false; !grown; time.Sleep(5 * time.Millisecond) {
				parts, _ := filepath.Glob(filepath.Join(home, ".ftps-part-*"))
				for _, part := range parts {
					info, err := os.Stat(part)
					grown = err == nil && info.Size() >= 1<<20
				}
				if time.Now().After(deadline) {
					cmd.Process.Kill()
					cmd.Wait()
					t.Fatalf("the upload does not grow:\n%s", out.String())
				}
			}
			cmd.Process.Kill()
			cmd.Wait()
			if _, err := os.Stat(there); err == nil {
				t.Fatal("a cut upload took the name")
			}
			c.Cmd(213, "SIZE film")

			if change {
				data[3] ^= 1
				put()
			}
			// Whatever has the name while the client works is the whole file.
			ended, watched := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(watched)
				for {
					if b, err := os.ReadFile(there); err == nil && !bytes.Equal(b, data) {
						t.Errorf("a wrong file of %d bytes stands under the name", len(b))
						return
					}
					select {
					case <-ended:
						return
					case <-time.After(2 * time.Millisecond):
					}
				}
			}()
			_, errs, code := s.client(t, "diego", "secreto", "put", "-c", local, "film")
			close(ended)
			<-watched
			if code != 0 {
				t.Fatalf("exit %d: %s", code, errs)
			}
			got, err := os.ReadFile(there)
			if err != nil || sha256.Sum256(got) != sha256.Sum256(data) {
				t.Errorf("%d bytes, %v: not the local file", len(got), err)
			}
			if n := strings.Count(errs, "begun again: the earlier part is not the beginning of the file"); change != (n == 1) || !change && strings.Contains(errs, "begun again") {
				t.Errorf("the client said:\n%s", errs)
			}
		})
	}
}
