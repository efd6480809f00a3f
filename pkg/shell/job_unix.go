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
	case <-time.After(200 * time.Millisecond):
		// Nobody to wake us, for it was ignored; or a busy machine comes to it
		// later, and watchWoken hears of its end.
	}
}

// watchWoken calls woken whenever the job goes on.
func (t *Terminal) watchWoken(woken func()) { t.listen(syscall.SIGCONT, woken) }

func (t *Terminal) watchWidth(changed func()) { t.listen(syscall.SIGWINCH, changed) }

// listen calls do at each such signal until Close.
func (t *Terminal) listen(sig os.Signal, do func()) {
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, sig)
	t.signals = append(t.signals, heard)
	go func() {
		for range heard {
			do()
		}
	}()
}
