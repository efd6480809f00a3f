//go:build torture

package integration

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// tortureDisk has an account's home on a file system of 16 MiB, which is full
// again and again, and then read-only: what is refused changes nothing.
func tortureDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("only root may mount the small file system of this test: run it as root, or leave it out with -run 'TestTorture/(model|kill|race|flood)'")
	}
	began := time.Now()
	v := newPrey(t, []string{"diego", "secreto"})
	home := v.home("diego")
	start := v.warm("diego", "secreto")
	if err := syscall.Mount("tmpfs", home, "tmpfs", 0, "size=16m,mode=0750"); err != nil {
		t.Fatalf("mounting a tmpfs on %s: %v", home, err)
	}
	t.Cleanup(func() {
		v.stop()
		if err := syscall.Unmount(home, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	p, err := loginPeer(v.addr, "", "diego", "secreto")
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	d := &diskWorld{t: t, player: p, home: home, holds: map[string][]byte{}, random: random("disk", 0)}
	for range amount(400) {
		d.step()
		if t.Failed() {
			break
		}
	}
	d.readOnly()
	if d.full == 0 || d.stored == 0 {
		t.Errorf("not enough was tried: %d refused, %d stored", d.full, d.stored)
	}
	p.close()
	end := v.settled(start)
	v.noFaults()
	tell(t, "full disk", fmt.Sprintf("%d uploads on a tmpfs of 16 MiB: %d stored, %d answered 452; %d commands on it read-only; in %.0f s",
		d.stored+d.full, d.stored, d.full, d.refused, time.Since(began).Seconds()),
		"after each 452 the old content, after each 226 the new, nothing changed on the read-only one; "+end)
}

type diskWorld struct {
	t *testing.T
	*player
	home   string
	holds  map[string][]byte
	random *rand.Rand

	stored, full, refused int
}

// step uploads something that may not fit, over a file or not, whole or to
// its end.
func (d *diskWorld) step() {
	d.t.Helper()
	name := fmt.Sprintf("f%d", d.random.IntN(6))
	old, there := d.holds[name]
	data := seeded(d.random.IntN(9<<20), d.random.Uint64())
	verb, whole := "STOR", data
	switch d.random.IntN(6) {
	case 0:
		if !there {
			return
		}
		verb, whole = "APPE", append(old[:len(old):len(old)], data...)
	case 1: // announced: refused before a byte is sent
		if _, err := d.want(200, fmt.Sprintf("ALLO %d", 64<<20)); err != nil {
			d.t.Error(err)
		}
		if code, err := d.upload("STOR "+name, data); code != 452 || err != nil {
			d.t.Errorf("STOR of an announced 64 MiB: %d, %v", code, err)
		}
		d.full++
		d.check()
		return
	case 2: // make room
		if there {
			if _, err := d.want(250, "DELE "+name); err != nil {
				d.t.Error(err)
			}
			delete(d.holds, name)
		}
		return
	}
	code, err := d.upload(verb+" "+name, data)
	switch {
	case err != nil:
		d.t.Errorf("%s %s: %v", verb, name, err)
	case code == 226:
		d.stored++
		d.holds[name] = whole
	case code == 452:
		d.full++
		if !there {
			// What had come of it is kept to go on from, until nobody wants it.
			if code, _, err := d.do("DELE " + name); err != nil || code != 250 && code != 550 {
				d.t.Errorf("DELE of a part: %d, %v", code, err)
			}
		}
	default:
		d.t.Errorf("%s %s: %d", verb, name, code)
	}
	d.check()
}

// check compares the disk with what it is to hold.
func (d *diskWorld) check() {
	d.t.Helper()
	entries, err := os.ReadDir(d.home)
	if err != nil {
		d.t.Fatal(err)
	}
	if len(entries) != len(d.holds) {
		d.t.Errorf("%d entries, want %d: %v", len(entries), len(d.holds), entries)
	}
	for name, want := range d.holds {
		if got, err := os.ReadFile(filepath.Join(d.home, name)); err != nil || !bytes.Equal(got, want) {
			d.t.Errorf("%s holds %d bytes, not the %d told, %v", name, len(got), len(want), err)
		}
	}
}

// readOnly makes the file system read-only and tries everything that writes.
func (d *diskWorld) readOnly() {
	d.t.Helper()
	if _, err := d.upload("STOR keep", []byte("keep")); err != nil {
		d.t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(d.home, "keep")); err != nil {
		for name := range d.holds { // it was full
			os.Remove(filepath.Join(d.home, name))
			delete(d.holds, name)
		}
		if code, err := d.upload("STOR keep", []byte("keep")); code != 226 {
			d.t.Errorf("STOR: %d, %v", code, err)
		}
	}
	d.holds["keep"] = []byte("keep")
	if err := syscall.Mount("", d.home, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		d.t.Fatal(err)
	}
	for _, line := range []string{"STOR keep", "STOR new", "APPE keep", "STOU"} {
		if code, err := d.upload(line, []byte("x")); code != 550 || err != nil {
			d.t.Errorf("%s on a read-only disk: %d, %v", line, code, err)
		}
		d.refused++
	}
	for _, line := range []string{"DELE keep", "MKD folder", "RMDA keep", "MFMT 20200101000000 keep", "SITE CHMOD 600 keep"} {
		if _, err := d.want(550, line); err != nil {
			d.t.Error(err)
		}
		d.refused++
	}
	if _, err := d.want(350, "RNFR keep"); err != nil {
		d.t.Error(err)
	}
	if _, err := d.want(550, "RNTO other"); err != nil {
		d.t.Error(err)
	}
	if data, code, err := d.download("RETR keep"); code != 226 || string(data) != "keep" {
		d.t.Errorf("RETR: %d %q, %v", code, data, err)
	}
	d.check()
	if err := syscall.Mount("", d.home, "", syscall.MS_REMOUNT, ""); err != nil {
		d.t.Fatal(err)
	}
	if code, err := d.upload("STOR keep", []byte("changed")); code != 226 {
		d.t.Errorf("STOR on a disk that can be written again: %d, %v", code, err)
	}
}
