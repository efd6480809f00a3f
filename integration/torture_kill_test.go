//go:build torture

package integration

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// state is what a name may stand for: a file with that content, or nothing.
type state struct {
	there bool
	data  []byte
}

// traces are the states in which each name may be found after a kill: the one
// that was told to last, and behind it the one that was under way.
type traces map[string][]state

// tortureKill kills the server again and again while clients upload, append
// and delete. A file that was told 226 is there, whole; one that the kill
// caught is the old one or the new one; nothing else changed; and what a
// broken upload left can be gone on from.
func tortureKill(t *testing.T) {
	const clients = 4
	v := newPrey(t, []string{"diego", "secreto"})
	home := v.home("diego")
	start := v.warm("diego", "secreto")
	know := make([]traces, clients+1)
	for i := range know {
		know[i] = traces{}
	}
	for i := range 20 { // files that nobody touches
		name, data := fmt.Sprintf("bystander%d", i), seeded(1000*i, uint64(i))
		if err := os.WriteFile(filepath.Join(home, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
		know[clients][name] = []state{{true, data}}
	}
	rounds := amount(200)
	dice := random("kill", 0)
	began := time.Now()
	var sum struct{ told, bytes, caught, swept, parts, resumed int }
	for round := range rounds {
		if t.Failed() {
			break
		}
		var all sync.WaitGroup
		var mu sync.Mutex
		for i := range clients {
			luck := random("kill", 1+round*clients+i)
			all.Go(func() {
				told, size, err := uploadUntilDead(v.addr, i, luck, know[i])
				mu.Lock()
				defer mu.Unlock()
				sum.told, sum.bytes = sum.told+told, sum.bytes+size
				if err != nil {
					t.Errorf("round %d: %v", round, err)
				}
			})
		}
		time.Sleep(50*time.Millisecond + time.Duration(dice.IntN(600))*time.Millisecond)
		v.kill()
		all.Wait()

		sum.swept += len(temporaries(t, home))
		broken := traces{}
		for _, names := range know {
			caught, err := names.check(home, broken)
			if err != nil {
				t.Errorf("round %d: %v", round, err)
			}
			sum.caught += caught
		}
		entries, err := os.ReadDir(home)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), ".ftps-part-") {
				sum.parts++
				continue
			}
			known := strings.HasPrefix(e.Name(), ".ftps-tmp-")
			for _, names := range know {
				known = known || names[e.Name()] != nil
			}
			if !known {
				t.Errorf("round %d: nobody stored %s", round, e.Name())
			}
		}

		v.start()
		v.await("the temporary files to be swept", patience, func() bool { return len(temporaries(t, home)) == 0 })
		resumed, err := goOn(v.addr, home, broken, know)
		if err != nil {
			t.Errorf("round %d: %v", round, err)
		}
		sum.resumed += resumed
	}
	if sum.told == 0 || sum.caught == 0 || !testing.Short() && (sum.resumed == 0 || sum.swept == 0) {
		t.Errorf("not enough was tried: %+v", sum)
	}
	end := v.settled(start)
	v.noFaults()
	tell(t, "kill", fmt.Sprintf("%d times `kill -9` during uploads; %d changes told done (%.0f MiB), %d caught half-way, %d temporary files swept at the restart, %d parts kept, %d of them gone on from to the whole file; in %.0f s",
		rounds, sum.told, float64(sum.bytes)/(1<<20), sum.caught, sum.swept, sum.parts, sum.resumed, time.Since(began).Seconds()),
		"every file told 226 is there with its bytes, every other is as it was; "+end)
}

// uploadUntilDead changes a few names over and over until the server is
// gone, noting in what states each may be. It returns how many changes were
// told done, and their bytes.
func uploadUntilDead(addr string, client int, luck *rand.Rand, know traces) (told, size int, fault error) {
	p, err := loginPeer(addr, "", "diego", "secreto")
	if err != nil {
		return 0, 0, nil
	}
	defer p.close()
	for {
		name := fmt.Sprintf("c%d-%d", client, luck.IntN(5))
		if know[name] == nil {
			know[name] = []state{{}}
		}
		now := know[name][0]
		data := seeded(luck.IntN(3<<20), luck.Uint64())
		verb, next, want := "STOR", state{true, data}, 226
		switch luck.IntN(8) {
		case 0, 1:
			if now.there {
				verb, next, want = "DELE", state{}, 250
			}
		case 2, 3:
			if now.there && len(now.data) < 8<<20 {
				verb, next.data = "APPE", append(now.data[:len(now.data):len(now.data)], data...)
			}
		}
		know[name] = []state{now, next}
		var code int
		if verb == "DELE" {
			code, _, err = p.do("DELE " + name)
		} else {
			code, err = p.upload(verb+" "+name, data)
		}
		switch {
		case err != nil:
			return told, size, nil
		case code != want:
			return told, size, fmt.Errorf("%s %s: got %d, want %d", verb, name, code, want)
		}
		know[name] = []state{next}
		told, size = told+1, size+len(data)
	}
}

// check compares each name with the disk. What it finds is from now on the
// one state; what was tried and did not come to be it adds to broken. It
// returns how many names the kill caught.
func (names traces) check(home string, broken traces) (caught int, err error) {
	for name, may := range names {
		data, rerr := os.ReadFile(filepath.Join(home, name))
		if rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			return caught, rerr
		}
		found := -1
		for i, s := range may {
			if s.there == (rerr == nil) && bytes.Equal(s.data, data) {
				found = i
			}
		}
		if found < 0 {
			return caught, fmt.Errorf("%s is there: %v, with %d bytes, which is none of the %d states it may be in; it was told to be there: %v, with %d bytes",
				name, rerr == nil, len(data), len(may), may[0].there, len(may[0].data))
		}
		if len(may) > 1 {
			caught++
			if found == 0 && may[1].there {
				broken[name] = may[1:]
			}
		}
		names[name] = []state{may[found]}
	}
	return caught, nil
}

// goOn completes the new files whose upload the kill broke and that have a
// part. It returns how many.
func goOn(addr, home string, broken traces, know []traces) (resumed int, err error) {
	p, err := loginPeer(addr, "", "diego", "secreto")
	if err != nil {
		return 0, err
	}
	defer p.close()
	for name, tried := range broken {
		for _, names := range know {
			if len(names[name]) == 0 || names[name][0].there {
				continue // the old file stands, so there is no part
			}
			whole := tried[0].data
			code, lines, err := p.do("SIZE " + name)
			if err != nil {
				return resumed, err
			}
			if code != 213 {
				continue // not a byte of it had come
			}
			n, err := strconv.Atoi(lines[0])
			if err != nil || n > len(whole) {
				return resumed, fmt.Errorf("the part of %s has %q bytes, the upload had %d", name, lines, len(whole))
			}
			if _, err := p.want(350, fmt.Sprintf("REST %d", n)); err != nil {
				return resumed, err
			}
			if code, err := p.upload("STOR "+name, whole[n:]); err != nil || code != 226 {
				return resumed, fmt.Errorf("going on with %s from %d: %d, %v", name, n, code, err)
			}
			if got, err := os.ReadFile(filepath.Join(home, name)); err != nil || !bytes.Equal(got, whole) {
				return resumed, fmt.Errorf("%s, gone on from %d, is not whole: %d of %d bytes, %v", name, n, len(got), len(whole), err)
			}
			names[name] = []state{{true, whole}}
			resumed++
		}
	}
	return resumed, nil
}
