package hook

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"ftps/pkg/fault"
)

// ProgramOptions say what to run when something happened.
type ProgramOptions struct {
	Path   string                           // absolute
	Time   time.Duration                    // for one run; 1 min
	Home   func(user string) (string, bool) // an account's home on the disk; or nil
	Failed func(error)                      // a run did not end well; or nil
}

// Program runs a program for each note: with arguments and an environment,
// never through a shell. Some run side by side; each has its time.
type Program struct {
	queue
	opt  ProgramOptions
	null *os.File
}

const (
	programMost = 4 // at once
	programTime = time.Minute
	programSays = 1 << 10 // bytes that are kept of what it says
)

// CheckProgram says why a program must not be run: it is none, or somebody
// else than root and the server's user may change it.
func CheckProgram(path string) error {
	info, err := os.Stat(path)
	switch {
	case !filepath.IsAbs(path):
		return fault.New("hook.program.relative", path)
	case err != nil:
		return fault.Wrap(err, "hook.program.failed", path, err)
	case !info.Mode().IsRegular() || info.Mode()&0o111 == 0:
		return fault.New("hook.program.mode", path)
	case info.Mode()&0o022 != 0:
		return fault.New("hook.program.open", path)
	case !trusted(info):
		return fault.New("hook.program.owner", path)
	}
	return nil
}

// NewProgram checks the options and sets the hook going.
func NewProgram(o ProgramOptions) (*Program, error) {
	err := CheckProgram(o.Path)
	if err != nil {
		return nil, err
	}
	if o.Time == 0 {
		o.Time = programTime
	}
	p := &Program{opt: o}
	// Opened now: later the server may not reach it.
	if p.null, err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
		return nil, err
	}
	p.begin(programMost, queueLength, p.run)
	return p, nil
}

// Close lets what waits be run, until ctx ends; the rest is lost.
func (p *Program) Close(ctx context.Context) {
	p.queue.Close(ctx)
	p.null.Close()
}

// run runs the program once. Its arguments are the event, the account, the
// name and, of a renaming, the new one: each a word of its own, and none that
// begins with a dash, for names begin with a slash.
func (p *Program) run(ctx context.Context, n Note) error {
	ctx, cancel := context.WithTimeout(ctx, p.opt.Time)
	defer cancel()
	args := []string{n.Event, n.User}
	for _, name := range []string{n.Name, n.To} {
		if name != "" {
			args = append(args, name)
		}
	}
	said := &tail{most: programSays}
	cmd := exec.CommandContext(ctx, p.opt.Path, args...)
	cmd.Env, cmd.Dir = p.environment(n), "/"
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.null, p.null, said
	cmd.WaitDelay = time.Second // for what it started and left behind
	alone(cmd)
	err := cmd.Start()
	if err == nil {
		endGroup(cmd)
		err = cmd.Wait()
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = fault.New("hook.program.slow", p.opt.Time)
	}
	if err != nil && p.opt.Failed != nil {
		p.opt.Failed(fault.Wrap(err, "hook.program.ended", n.Event, n.ID, err, said.String()))
	}
	return err
}

// environment is all that the program is told: nothing of the server's own,
// which may hold secrets.
func (p *Program) environment(n Note) []string {
	env := []string{
		"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8",
		"FTPS_EVENT=" + n.Event, "FTPS_ID=" + n.ID, "FTPS_TIME=" + n.Time.Format(time.RFC3339),
		"FTPS_SESSION=" + n.Session, "FTPS_REMOTE=" + n.Remote, "FTPS_USER=" + n.User,
		"FTPS_VERB=" + n.Verb, "FTPS_NAME=" + n.Name, "FTPS_TO=" + n.To,
		"FTPS_BYTES=" + strconv.FormatInt(n.Bytes, 10), "FTPS_CODE=" + strconv.Itoa(n.Code),
		"FTPS_WHOLE=" + strconv.FormatBool(n.Whole),
	}
	if p.opt.Home != nil {
		if home, ok := p.opt.Home(n.User); ok {
			env = append(env, "FTPS_HOME="+home)
		}
	}
	return env
}

// tail keeps the last bytes of what is written.
type tail struct {
	most int
	b    bytes.Buffer
}

func (t *tail) Write(p []byte) (int, error) {
	t.b.Write(p)
	if over := t.b.Len() - t.most; over > 0 {
		t.b.Next(over)
	}
	return len(p), nil
}

func (t *tail) String() string { return strings.TrimSpace(t.b.String()) }
