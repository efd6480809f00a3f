package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"ftps/integration/load"
)

// farAddr is where a link listens: loopback too, but not the servers'.
const farAddr = "127.0.0.2"

// distance is a wide area network.
type distance struct {
	name string
	trip time.Duration
	rate float64 // bytes a second
	lftp bool    // lftp with vsftpd goes this way too
}

var distances = []distance{
	{name: "50 ms", trip: 50 * time.Millisecond, lftp: true},
	{name: "200 ms", trip: 200 * time.Millisecond},
	{name: "50 ms, 20 Mbit/s", trip: 50 * time.Millisecond, rate: 20e6 / 8},
}

// far moves files through a link: 2,000 small ones, one big one, and a mirror
// that has nothing to do.
func far(b *bench, p *partRun) error {
	n := b.small(2000)
	for _, d := range distances {
		rounds := 1 // what counts here is round trips, and they are always the same
		if d.lftp {
			rounds = b.rounds // these are goals as well
		}
		for round := range rounds {
			if err := b.across(p, round+1, d, ours, clientNamed("ftps"), n); err != nil {
				return err
			}
			if d.lftp {
				// An eighth of the files: it takes a minute.
				if err := b.across(p, round+1, d, "vsftpd", clientNamed("lftp mirror -P 4"), n/8); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// across runs one client and one server with a link between them.
func (b *bench) across(p *partRun, round int, d distance, name string, c client, n int) error {
	s, err := b.server(name)
	if err != nil {
		return err
	}
	from, to := filepath.Join(b.dir, fmt.Sprint("many", n)), filepath.Join(b.dir, "local")
	remote := fmt.Sprint("m", n)
	if err := b.files(from, n, smallSize); err != nil {
		return err
	}
	if err := b.files(filepath.Join(s.Home, remote), n, smallSize); err != nil {
		return err
	}
	if err := b.bigFile(s, "far", int64(b.small(64))*mib); err != nil {
		return err
	}
	os.RemoveAll(to)
	if err := s.folder("drop"); err != nil {
		return err
	}
	defer clear("drop")(s)

	ports := []string{strconv.Itoa(s.Control)}
	for port := s.First; port <= s.Last; port++ {
		ports = append(ports, strconv.Itoa(port))
	}
	step := func(work string, ops int, j job, cmd func(j job) error) error {
		link, err := load.NewLink(farAddr, "127.0.0.1", ports, d.trip, d.rate)
		if err != nil {
			return err
		}
		err = cmd(j)
		last := &p.Figures[len(p.Figures)-1]
		last.Trips, last.Conns = link.RoundTrips(), link.Connections()
		fmt.Printf("   %s: %.1f round trips that depend on each other, %d connections\n", work, last.Trips, last.Conns)
		link.Close()
		return err
	}
	f := figure{Who: c.name + " with " + s.name, Round: round, Ops: int64(n), Bytes: int64(n) * smallSize}
	j := job{s: s, b: b, host: farAddr, remote: remote, local: to}
	run := func(work string, make func(j job) error) error { return step(work, n, j, make) }

	f.Work = "far files down, " + d.name
	if err := run(f.Work, func(j job) error { _, err := b.clientRun(p, f, j, c.getFiles(j)); return err }); err != nil {
		return err
	}
	b.verify(p, to, n)
	if name == ours {
		f.Work = "far mirror, nothing to do, " + d.name
		if err := run(f.Work, func(j job) error {
			_, err := b.clientRun(p, f, j, j.ours("-j", "4", "mirror", remote, to))
			return err
		}); err != nil {
			return err
		}
	}
	j.local, j.remote = from, "drop/new"
	f.Work = "far files up, " + d.name
	if err := run(f.Work, func(j job) error { _, err := b.clientRun(p, f, j, c.putFiles(j)); return err }); err != nil {
		return err
	}
	b.verify(p, filepath.Join(s.Home, "drop"), n)
	if c.getFile == nil {
		return nil
	}
	size := int64(b.small(64)) * mib
	f.Ops, f.Bytes = 1, size
	j.remote, j.local = "far", filepath.Join(b.dir, "far-local")
	defer os.Remove(j.local)
	f.Work = "far big down, " + d.name
	if err := run(f.Work, func(j job) error { _, err := b.clientRun(p, f, j, c.getFile(j)); return err }); err != nil {
		return err
	}
	f.Work, j.local, j.remote = "far big up, "+d.name, filepath.Join(b.dir, fmt.Sprintf("source-%d", size)), "drop/far"
	return run(f.Work, func(j job) error { _, err := b.clientRun(p, f, j, c.putFile(j)); return err })
}
