//go:build torture

package integration

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// tortureRace swaps a folder and a link that leaves the home in one step, as
// often as it can, while clients walk in and read, write, make, rename and
// remove. What happens without the jail `TestAttackSwapRace` in pkg/vfs/jail
// shows.
func tortureRace(t *testing.T) {
	began := time.Now()
	v := newPrey(t, []string{"diego", "secreto"})
	at := func(name string) string { return filepath.Join(v.home("diego"), name) }
	out := outside{filepath.Join(v.dir, "srv", "outside")}
	start := v.warm("diego", "secreto")
	for dir, content := range map[string]string{out.dir: outsideSecret, at("d"): "harmless"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "secret"), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../outside", at("l")); err != nil {
		t.Fatal(err)
	}

	wanted := int64(amount(100_000))
	var swaps, inside, refused atomic.Int64
	enough := func() bool { return swaps.Load() >= wanted && inside.Load() >= 100 && refused.Load() >= 100 }
	over := make(chan struct{})
	var swapper, walkers sync.WaitGroup
	swapper.Go(func() {
		for {
			select {
			case <-over:
				return
			default:
			}
			if err := unix.Renameat2(unix.AT_FDCWD, at("d"), unix.AT_FDCWD, at("l"), unix.RENAME_EXCHANGE); err != nil {
				t.Errorf("swap: %v", err)
				return
			}
			swaps.Add(1)
			time.Sleep(50 * time.Microsecond) // or nobody else would come to look
		}
	})
	end := time.Now().Add(5 * time.Minute)
	for n := range 4 {
		walkers.Go(func() {
			p, err := loginPeer(v.addr, "", "diego", "secreto")
			if err != nil {
				t.Error(err)
				return
			}
			defer p.close()
			random := random("race", n)
			for !enough() && time.Now().Before(end) && !t.Failed() {
				if err := raceStep(p, random.IntN(8), n, &inside, &refused); err != nil {
					t.Error(err)
				}
			}
		})
	}
	walkers.Wait()
	close(over)
	swapper.Wait()
	if !enough() {
		t.Errorf("not enough was tried: %d swaps, %d times inside, %d refused", swaps.Load(), inside.Load(), refused.Load())
	}
	out.untouched(t)
	settled := v.settled(start)
	v.noFaults()
	tell(t, "symlink race", fmt.Sprintf("%d swaps of a folder and a link that leaves the home, while 4 clients walk in: %d times inside, %d refused; in %.0f s",
		swaps.Load(), inside.Load(), refused.Load(), time.Since(began).Seconds()),
		"nothing outside read, listed, changed or made; "+settled)
}

// raceStep does one thing by way of the name that is swapped.
func raceStep(p *player, what, n int, inside, refused *atomic.Int64) error {
	count := func(code int, lines ...string) error {
		switch {
		case code/100 == 2 || code == 350:
			inside.Add(1)
		case code == 550, code == 450: // 450: it was swapped in the middle of the walk
			refused.Add(1)
		default:
			return fmt.Errorf("an answer of another kind: %d %q", code, lines)
		}
		return nil
	}
	mine := fmt.Sprintf("d/new%d", n)
	switch what {
	case 0, 1, 2:
		got, code, err := p.download("RETR d/secret")
		if err != nil {
			return err
		}
		if bytes.Contains(got, []byte(outsideSecret)) {
			return fmt.Errorf("RETR read the secret")
		}
		return count(code)
	case 3:
		got, code, err := p.download("MLSD d")
		if err != nil {
			return err
		}
		if bytes.Contains(got, fmt.Appendf(nil, "size=%d;", len(outsideSecret))) {
			return fmt.Errorf("MLSD told of the secret")
		}
		if code == 501 { // it is a link, which is no folder
			code = 550
		}
		return count(code)
	case 4:
		code, err := p.upload("STOR "+mine, []byte("x"))
		if err != nil {
			return err
		}
		return count(code)
	}
	line := [...]string{"DELE " + mine, "MKD d/folder", "RMD d/folder"}[what-5]
	code, lines, err := p.do(line)
	if err != nil || slices.Contains(lines, outsideSecret) {
		return fmt.Errorf("%s: %q, %w", line, lines, err)
	}
	return count(code, lines...)
}

// upload runs a command that takes data and returns the final reply's code.
func (p *player) upload(line string, data []byte) (int, error) {
	conn, code, err := p.transfer(line)
	if conn == nil {
		return code, err
	}
	defer conn.Close()
	// A server that has enough may end the connection: its reply says why.
	if _, err := conn.Write(data); err == nil && conn.CloseWrite() == nil {
		io.Copy(io.Discard, conn)
	}
	conn.Close()
	code, _, err = p.read()
	return code, err
}
