package daemon

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ftps/pkg/event"
	"ftps/pkg/fault"
	"ftps/pkg/hook"
	"ftps/pkg/users"
)

// hookGrace bounds how long the end waits for who is told of events.
const hookGrace = 5 * time.Second

// hooked is somebody who is told of events.
type hooked interface {
	event.Sink
	Close(context.Context)
	Counts() hook.Counts
}

// told is one with its name in the log and the metrics.
type told struct {
	hooked
	name string
}

// openHooks sets going who is to be told of events.
func (d *Daemon) openHooks() error {
	if d.cfg.Webhook != "" {
		w, err := hook.NewWebhook(hook.WebhookOptions{
			URL: d.cfg.Webhook, Secret: d.cfg.WebhookSecret, Agent: "ftps/" + d.cfg.Version,
			Failed: func(err error) { d.log.Warn("webhook", "cause", d.cause(err)) },
		})
		if err != nil {
			return err
		}
		d.hooks = append(d.hooks, told{w, "webhook"})
	}
	if d.cfg.Hook != "" {
		p, err := hook.NewProgram(hook.ProgramOptions{
			Path: d.cfg.Hook, Time: d.cfg.HookTimeout, Home: d.homeOfUser,
			Failed: func(err error) { d.log.Warn("hook", "cause", d.cause(err)) },
		})
		if err != nil {
			return err
		}
		d.hooks = append(d.hooks, told{p, "program"})
	}
	if d.metrics != nil {
		for _, h := range d.hooks {
			d.metrics.watchHook(d, h)
		}
	}
	return nil
}

// checkHook refuses a program that could be replaced over FTP: one below the
// root folder or an account's home.
func checkHook(cfg *Config, list *users.List) error {
	if cfg.Hook == "" {
		return nil
	}
	if through(cfg.RootDir, cfg.Hook) {
		return fault.New("hook.program.served", cfg.Hook, cfg.RootDir)
	}
	for u := range list.All {
		if home := homeOf(cfg.RootDir, u.Home); !inStore(home) && through(home, cfg.Hook) {
			return fault.New("hook.program.served", cfg.Hook, home)
		}
	}
	return nil
}

// through reports whether the way to path leads through root: whoever may
// change what lies below root may then lead it elsewhere. So each step counts,
// also that of a symlink which leads out again.
func through(root, path string) bool {
	root, err := filepath.EvalSymlinks(root)
	if err == nil {
		root, err = filepath.Abs(root)
	}
	if err != nil {
		return false // there is nothing below it
	}
	const separator = string(filepath.Separator)
	start := filepath.VolumeName(path) + separator
	at, rest := start, strings.Split(path[len(filepath.VolumeName(path)):], separator)
	for links := 0; len(rest) > 0 && links < 100; {
		next := filepath.Join(at, rest[0]) // at has no symlinks, so ".." is what it says
		rest = rest[1:]
		if rel, err := filepath.Rel(root, next); err == nil && filepath.IsLocal(rel) && rel != "." {
			return true
		}
		target, err := os.Readlink(next)
		if err != nil {
			at = next
			continue
		}
		if links++; filepath.IsAbs(target) {
			at = start
		}
		rest = append(strings.Split(target, separator), rest...)
	}
	return false
}

// homeOfUser is where an account's files lie.
func (d *Daemon) homeOfUser(name string) (string, bool) {
	u, ok := d.backend.verifier.List().Lookup(name)
	if !ok || inStore(u.Home) {
		return "", false
	}
	home, err := filepath.Abs(homeOf(d.cfg.RootDir, u.Home)) // the program runs elsewhere
	return home, err == nil
}

func (d *Daemon) closeHooks() {
	ctx, cancel := context.WithTimeout(context.Background(), hookGrace)
	defer cancel()
	for _, h := range d.hooks {
		h.Close(ctx)
	}
}
