//go:build torture

package integration

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// tortureSoak mixes all kinds of clients for a long time: once a third of it
// is over, what the server holds may not grow any more. Sessions are long
// ones: of each that ended the server remembers for an hour whose its TLS
// tickets were, some hundred bytes in bounded number, which is no leak.
func tortureSoak(t *testing.T) {
	if *soakFor == 0 {
		t.Skip("asked for with -soak")
	}
	v := newPrey(t, []string{"diego", "secreto", "ana", "secreto"})
	start := v.warm("diego", "secreto")
	began := time.Now()
	end := began.Add(*soakFor)
	var all sync.WaitGroup
	var sessions, commands, moved atomic.Int64
	for i := range 6 {
		dice := random("soak", i)
		all.Go(func() {
			for time.Now().Before(end) && !t.Failed() {
				n, bytes, err := soakSession(v.addr, []string{"diego", "ana"}[i%2], i, end, dice)
				commands.Add(int64(n))
				moved.Add(bytes)
				sessions.Add(1)
				if err != nil {
					t.Errorf("client %d: %v", i, err)
				}
			}
		})
	}
	all.Go(func() { // and those who come, say nothing or nonsense, and go
		dice := random("soak", 99)
		for time.Now().Before(end) {
			conn, err := net.Dial("tcp", v.addr)
			if err != nil {
				t.Error(err)
				return
			}
			io.WriteString(conn, []string{"", "AUTH TLS\r\n\x16\x03", "AUTH TLS\r\n", "GET / HTTP/1.1\r\n\r\n", "NOOP\r\n"}[dice.IntN(5)])
			time.Sleep(100 * time.Millisecond)
			conn.Close()
		}
	})
	var samples []usage
	tick := time.NewTicker(max(*soakFor/180, time.Second))
	defer tick.Stop()
	for now := range tick.C {
		samples = append(samples, v.usage())
		if now.After(end) {
			break
		}
	}
	all.Wait()
	// What a third of the time has made of it, and what the end has: the
	// middle of each span, since the collector makes single values swing.
	third := len(samples) / 3
	early, late := middle(samples[third:third+len(samples)/6]), middle(samples[len(samples)-len(samples)/6:])
	growth := 100 * (float64(late)/float64(early) - 1)
	if growth >= 2 {
		t.Errorf("resident memory grew by %.1f %%, from %d to %d KiB", growth, early, late)
	}
	after := v.settled(start)
	v.noFaults()
	tell(t, "soak", fmt.Sprintf("%v of mixed load: %d sessions, %d commands, %.1f GiB moved", *soakFor, sessions.Load(), commands.Load(), float64(moved.Load())/(1<<30)),
		fmt.Sprintf("resident memory %+.1f %% from the end of the first third on (%.1f MiB, %.1f MiB); %s", growth, float64(early)/1024, float64(late)/1024, after))
}

func middle(span []usage) int {
	var all []int
	for _, u := range span {
		all = append(all, u.resident)
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// soakSession is one session of a client that does a bit of everything.
func soakSession(addr, account string, client int, end time.Time, dice *rand.Rand) (commands int, moved int64, err error) {
	p, err := loginPeer(addr, "", account, "secreto")
	if err != nil {
		return 0, 0, err
	}
	defer p.close()
	dir := fmt.Sprintf("/soak%d", client)
	if code, _, err := p.do("MKD " + dir); err != nil || code != 257 && code != 550 {
		return 1, 0, fmt.Errorf("MKD: %d, %w", code, err)
	}
	var stored [][]byte
	for range 500 + dice.IntN(2000) {
		if time.Now().After(end) {
			break
		}
		if len(stored) == 30 {
			if _, err := p.want(250, "RMDA "+dir); err != nil {
				return commands, moved, err
			}
			if _, err := p.want(257, "MKD "+dir); err != nil {
				return commands, moved, err
			}
			stored = nil
		}
		name := fmt.Sprintf("%s/f%d", dir, len(stored))
		commands++
		switch dice.IntN(8) {
		case 0, 1:
			data := seeded(dice.IntN(64<<10), dice.Uint64())
			if dice.IntN(10) == 0 {
				data = seeded(dice.IntN(8<<20), dice.Uint64())
			}
			if code, err := p.upload("STOR "+name, data); err != nil || code != 226 {
				return commands, moved, fmt.Errorf("STOR: %d, %w", code, err)
			}
			stored, moved = append(stored, data), moved+int64(len(data))
		case 2, 3:
			if len(stored) == 0 {
				continue
			}
			k := dice.IntN(len(stored))
			data, code, err := p.download(fmt.Sprintf("RETR %s/f%d", dir, k))
			if err != nil || code != 226 || !bytes.Equal(data, stored[k]) {
				return commands, moved, fmt.Errorf("RETR: %d, %d bytes of %d, %w", code, len(data), len(stored[k]), err)
			}
			moved += int64(len(data))
		case 4:
			if _, code, err := p.download("MLSD " + dir); err != nil || code != 226 {
				return commands, moved, fmt.Errorf("MLSD: %d, %w", code, err)
			}
		case 5:
			if code, err := p.cut("STOR "+dir+"/cut", seeded(dice.IntN(200_000), 1), dice.IntN(2) == 0); err != nil || code < 425 || code > 426 {
				return commands, moved, fmt.Errorf("STOR, cut: %d, %w", code, err)
			}
		case 6:
			if _, err := p.want(550, "SIZE "+dir+"/nothing"); err != nil {
				return commands, moved, err
			}
		case 7:
			if _, err := p.want(226, "ABOR"); err != nil {
				return commands, moved, err
			}
		}
	}
	if dice.IntN(3) == 0 {
		return commands, moved, nil // gone without a word
	}
	if _, err := p.want(250, "RMDA "+dir); err != nil {
		return commands, moved, err
	}
	_, err = p.want(221, "QUIT")
	return commands + 2, moved, err
}
