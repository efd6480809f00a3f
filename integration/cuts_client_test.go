//go:build interop

package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ftps/pkg/catalog"
	"ftps/pkg/ftpclient"
	"ftps/pkg/mirror"
	"ftps/pkg/pki"
	"ftps/pkg/shell"
)

// behind is a server that can be reached through gates.
type behind struct {
	name, version        string
	home                 string
	control, first, last int
	account, password    string
	pin                  string
	// part reports whether a name in the account's folder is what the server
	// or the client keeps of an upload that broke off.
	part func(name string) bool
}

// foreignBehind starts one that others wrote.
func foreignBehind(t *testing.T, f foreign) *behind {
	s := f.serve(t, foreignOptions{})
	return &behind{
		name: s.name, version: s.version(), home: s.Home, control: s.Control, first: s.First, last: s.Last,
		account: s.account, password: foreignPassword, pin: s.pin,
		part: func(name string) bool { return strings.HasSuffix(name, ".ftps-part") },
	}
}

// oursBehind starts the real binary.
func oursBehind(t *testing.T) *behind {
	first := freeRange(t, 4)
	s := startServer(t, []string{"diego", foreignPassword}, "-D", fmt.Sprintf("%d-%d", first, first+3))
	b := &behind{
		name: "ftps server", version: ownVersion, home: filepath.Join(s.dir, "srv", "diego"), first: first, last: first + 3,
		account: "diego", password: foreignPassword, pin: s.pin,
		part: func(name string) bool { return strings.HasPrefix(name, ".ftps-") },
	}
	fmt.Sscan(s.port, &b.control)
	return b
}

// folder makes a folder that the account may write to.
func (b *behind) folder(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(b.home, name)
	must(t, os.Mkdir(dir, 0o777))
	must(t, os.Chmod(dir, 0o777))
	return dir
}

// attempt is what one command came to.
type attempt struct {
	code int
	said string
	done done
}

// read takes from the objects on standard output what became of the file.
func (a *attempt) read(out string) {
	for line := range strings.Lines(out) {
		var event done
		if json.Unmarshal([]byte(line), &event) == nil && event.Event == "done" {
			a.done = event
		}
	}
}

// runner runs one command of the client through a gate.
type runner func(t *testing.T, b *behind, g *gate, records string, retries int, timeout time.Duration, command ...string) attempt

// inProcess is what `ftps client` does, without a process.
func inProcess(t *testing.T, b *behind, g *gate, records string, retries int, timeout time.Duration, command ...string) attempt {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	target, err := shell.ParseTarget(g.address, b.control, b.account)
	must(t, err)
	pin, err := pki.ParsePin(b.pin)
	must(t, err)
	trust, err := pki.NewTrust(pki.Policy{Host: target.Host, Port: target.Port, Mode: pki.Strict, Pins: []pki.Pin{pin}})
	must(t, err)
	var out, errs lockedBuffer
	options := shell.Options{Lang: catalog.English, Out: &out, Err: &errs, JSON: true, Host: target.Host, Quiet: true,
		Dialogue: shell.NewDialogue(&errs, false, true)}
	connector := &shell.Connector{
		Lang: catalog.English, Target: target, Quiet: true, Dialogue: options.Dialogue, Trust: trust, Err: &errs,
		Secrets: shell.Secrets{Environment: b.password, Err: &errs},
		Config:  ftpclient.Config{Timeout: timeout, FinalTimeout: timeout},
	}
	err = func() error {
		link := &shell.Link{Connector: connector, Retries: retries}
		if err := link.Open(ctx); err != nil {
			return options.Tell(err)
		}
		defer link.Close()
		options.Server, options.User = link, connector.User()
		options.Files = shell.Mover{Link: link, Config: mirror.Config{Jobs: 1, NoSync: true, Records: records}}
		session, err := shell.New(options)
		must(t, err)
		if err := session.Command(ctx, command); err != nil {
			return err
		}
		session.Leave(ctx)
		return nil
	}()
	a := attempt{code: int(ftpclient.Class(err)), said: out.String() + errs.String()}
	if err != nil {
		a.said += fmt.Sprintf("%+v", err)
	}
	a.read(out.String())
	return a
}

// lockedBuffer is written to by several goroutines.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// binary runs the command as a person does.
func binary(t *testing.T, b *behind, g *gate, records string, retries int, timeout time.Duration, command ...string) attempt {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	args := append([]string{"client", g.address, "-p", fmt.Sprint(b.control), "-u", b.account, "--password-stdin", "--pin", b.pin,
		"--json", "--retries", fmt.Sprint(retries), "--timeout", timeout.String(), "-v"}, command...)
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, ftps, args...)
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = records, cleanEnv(records), strings.NewReader(b.password+"\n"), &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%q: %v\n%s", command, err, errs.String())
	}
	a := attempt{code: cmd.ProcessState.ExitCode(), said: out.String() + errs.String()}
	a.read(out.String())
	return a
}
