//go:build unix

package shell

import (
	"os"
	"os/signal"
	"syscall"
	"time"
)

// suspend stops the foreground job, as the terminal itself does outside the
// line editor, and returns when it goes on. The editor's own way would stop
// the parent alone and then guess when it was woken.
func suspend() {
	woken := make(chan os.Signal, 1)
	signal.Notify(woken, syscall.SIGCONT)
	defer signal.Stop(woken)
	if syscall.Kill(0, syscall.SIGTSTP) != nil {
		return
	}
	select {
	case <-woken:
	case <-time.After(200 * time.Millisecond): // nobody to wake us: it was ignored
	}
}

func (t *Terminal) watchWidth(changed func()) {
	t.resized = make(chan os.Signal, 1)
	signal.Notify(t.resized, syscall.SIGWINCH)
	go func(resized chan os.Signal) {
		for range resized {
			changed()
		}
	}(t.resized)
}
