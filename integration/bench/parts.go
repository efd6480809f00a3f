package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"ftps/integration/load"
)

// parts are what a run consists of, in their order. Each can be run alone;
// the table is made from whatever was kept.
var parts = []part{
	{"handshakes", "full handshakes on the control connection, and NOOP", handshakes},
	{"big", "a big file up and down, by one session and by four", bigFiles},
	{"small", "files of 4 KiB up and down by a stock client, TLS 1.3 and 1.2", smallFiles},
	{"list", "MLSD of big folders, and what memory it takes", listings},
	{"logins", "logins of one account at bcrypt cost 12", logins},
	{"idle", "memory of idle sessions", idle},
	{"active", "a thousand sessions at work", active},
	{"clients", "client programs, one big file, one and the same server", bigClients},
	{"many", "client programs, many small files", manyClients},
	{"far", "through a network of 50 and 200 ms", far},
	{"growth", "three sizes of each, for the lines of what it costs", growth},
}

const (
	mib       = 1 << 20
	smallSize = 4 << 10
)

// names returns those of the servers that are there and pass.
func (b *bench) names(pass func(s *server) bool) (names []string) {
	for _, s := range b.servers {
		if pass == nil || pass(s) {
			names = append(names, s.name)
		}
	}
	return names
}

func facts(s *server) bool { return s.facts }

func own(s *server) bool { return s.name == ours }

// row is a work that some servers do in rounds.
type row struct {
	trial
	who    func(s *server) bool // nil for all
	rounds int                  // 0 for as many as were asked for
	before func(s *server) error
}

// rows runs them, all servers interleaved.
func (b *bench) rows(p *partRun, rows ...row) error {
	for _, r := range rows {
		rounds := b.rounds
		if r.rounds > 0 {
			rounds = min(rounds, r.rounds)
		}
		err := b.interleaved(rounds, b.names(r.who), func(round int, name string) error {
			s, err := b.server(name)
			if err != nil {
				return err
			}
			if r.before != nil {
				if err := r.before(s); err != nil {
					return err
				}
			}
			return b.drive(p, round, s, r.trial)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func handshakes(b *bench, p *partRun) error {
	// One of ProFTPD's takes a sixth of a second.
	slow := func(s *server) bool { return s.name == "ProFTPD" }
	return b.rows(p,
		row{who: func(s *server) bool { return !slow(s) }, trial: trial{work: "handshake", order: load.Order{Work: "handshake", Count: b.small(400)}}},
		row{who: slow, trial: trial{work: "handshake", order: load.Order{Work: "handshake", Count: b.small(40)}}},
		row{trial: trial{work: "noop", order: load.Order{Work: "noop", Count: b.small(10000)}}},
	)
}

// bigFile lays a file of n bytes into the server's home; all homes share it.
func (b *bench) bigFile(s *server, name string, n int64) error {
	source := filepath.Join(b.dir, fmt.Sprintf("source-%d", n))
	if _, err := os.Stat(source); err != nil {
		if err := writeFile(source, n); err != nil {
			return err
		}
	}
	target := filepath.Join(s.Home, name)
	if _, err := os.Stat(target); err == nil {
		return nil
	}
	return os.Link(source, target)
}

// writeFile writes n bytes that are not all alike.
func writeFile(name string, n int64) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	block := make([]byte, mib)
	for i := range block {
		block[i] = byte(i*i>>7 ^ i)
	}
	for n > 0 {
		k := min(n, mib)
		block[0]++
		if _, err := f.Write(block[:k]); err != nil {
			return err
		}
		n -= k
	}
	return f.Close()
}

// clear removes what an upload has left.
func clear(pattern string) func(s *server) {
	return func(s *server) {
		names, _ := filepath.Glob(filepath.Join(s.Home, pattern))
		for _, name := range names {
			os.RemoveAll(name)
		}
	}
}

func bigFiles(b *bench, p *partRun) error {
	size := int64(b.small(1024)) * mib
	down := func(s *server) error { return b.bigFile(s, "big", size) }
	return b.rows(p,
		row{before: down, trial: trial{work: "down", order: load.Order{Work: "down", Name: "big", Bytes: size, Count: 1}}},
		row{trial: trial{work: "up", after: clear("up.*"), order: load.Order{Work: "up", Name: "up", Bytes: size, Count: 1}}},
		row{before: down, trial: trial{work: "down4", order: load.Order{Work: "down", Name: "big", Bytes: size, Count: 4, Sessions: 4}}},
		row{trial: trial{work: "up4", after: clear("up.*"), order: load.Order{Work: "up", Name: "up", Bytes: size / 2, Count: 4, Sessions: 4}}},
	)
}

// files makes a folder with n files of so many bytes.
func (b *bench) files(folder string, n int, bytes int64) error {
	if _, err := os.Stat(folder); err == nil {
		return nil
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for i := range n {
		if bytes == 0 {
			f, err := os.Create(filepath.Join(folder, load.FileName(i)))
			if err != nil {
				return err
			}
			f.Close()
			continue
		}
		if err := writeFile(filepath.Join(folder, load.FileName(i)), bytes); err != nil {
			return err
		}
	}
	return nil
}

// folder makes an empty folder in the server's home that its account may
// write to.
func (s *server) folder(name string) error {
	dir := filepath.Join(s.Home, name)
	os.RemoveAll(dir)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if s.name != "Pure-FTPd" {
		return nil
	}
	uid, gid, err := nobody()
	if err != nil {
		return err
	}
	return os.Chown(dir, uid, gid)
}

func smallFiles(b *bench, p *partRun) error {
	n := b.small(1000)
	var rows []row
	for _, v := range []struct {
		name string
		old  bool
	}{{"", false}, {" 1.2", true}} {
		rows = append(rows,
			row{
				before: func(s *server) error { return b.files(filepath.Join(s.Home, "many"), b.small(2000), smallSize) },
				trial:  trial{work: "get" + v.name, order: load.Order{Work: "get", Name: "many", Bytes: smallSize, Count: n, TLS12: v.old}},
			},
			row{
				before: func(s *server) error { return s.folder("put") },
				trial: trial{work: "put" + v.name, after: clear("put"),
					order: load.Order{Work: "put", Name: "put", Bytes: smallSize, Count: n, TLS12: v.old}},
			})
	}
	return b.rows(p, rows...)
}

func listings(b *bench, p *partRun) error {
	n := b.small(100000)
	lay := func(n int) func(s *server) error {
		return func(s *server) error { return b.files(filepath.Join(s.Home, fmt.Sprint("list", n)), n, 0) }
	}
	list := func(work string, n int) trial {
		return trial{work: work, memory: true, entries: n, order: load.Order{Work: "list", Name: fmt.Sprint("list", n), Count: 1}}
	}
	defer b.forAll(clear("list*"))
	return b.rows(p,
		row{who: facts, before: lay(n), trial: list("mlsd", n)},
		row{who: func(s *server) bool { return slices.Contains([]string{ours, "Pure-FTPd"}, s.name) }, rounds: 3,
			before: lay(10 * n), trial: list("mlsd10", 10*n)},
	)
}

// forAll does f to each server's home.
func (b *bench) forAll(f func(s *server)) {
	for _, s := range b.servers {
		f(s)
	}
}

func logins(b *bench, p *partRun) error {
	// SFTPGo remembers a password that was right, as ours does; the others
	// compare something cheaper than bcrypt.
	remembers := func(s *server) bool { return s.name == ours || s.name == sftpgo }
	return b.rows(p, row{who: remembers, trial: trial{work: "login", order: load.Order{Work: "login", Count: b.small(2000), Sessions: 8}}})
}

func idle(b *bench, p *partRun) error {
	// A session holds two descriptors, its connection and its account's folder.
	n := min(b.small(10000), descriptors()/2-100)
	// Pure-FTPd takes half as many sessions as it has data ports, and ProFTPD a
	// sixth of a second for each.
	few := func(s *server) bool { return s.name == "Pure-FTPd" || s.name == "ProFTPD" }
	return b.rows(p,
		row{who: own, trial: trial{work: "idle", memory: true, order: load.Order{Work: "idle", Count: n, Sessions: 16, Sources: 4}}},
		row{who: func(s *server) bool { return s.name != ours && !few(s) }, rounds: 1,
			trial: trial{work: "idle", memory: true, order: load.Order{Work: "idle", Count: b.small(400), Sessions: 8, Sources: 8}}},
		row{who: few, rounds: 1,
			trial: trial{work: "idle", memory: true, order: load.Order{Work: "idle", Count: 40, Sessions: 8, Sources: 8}}},
	)
}

func active(b *bench, p *partRun) error {
	n := b.small(1000)
	return b.rows(p, row{who: own, rounds: 3, before: func(s *server) error { return b.bigFile(s, "mib", mib) },
		trial: trial{work: "active", memory: true, order: load.Order{Work: "down", Name: "mib", Bytes: mib, Count: 4 * n, Sessions: n, Sources: 4}}})
}

// growth runs three sizes of each work, so that what a file, a byte, a session
// and an entry cost can be told from what everything costs.
func growth(b *bench, p *partRun) error {
	var rows []row
	for _, k := range []int{1, 2, 4} {
		size := int64(b.small(256)*k) * mib
		entries, sessions, files := b.small(50000)*k, b.small(1000)*k, b.small(400)*k
		rows = append(rows,
			row{who: own, rounds: 3, before: func(s *server) error { return b.bigFile(s, fmt.Sprint("grow", k), size) },
				trial: trial{work: "bytes down", order: load.Order{Work: "down", Name: fmt.Sprint("grow", k), Bytes: size, Count: 1}}},
			row{who: own, rounds: 3, trial: trial{work: "bytes up", after: clear("up.*"), order: load.Order{Work: "up", Name: "up", Bytes: size, Count: 1}}},
			row{who: own, rounds: 3, before: func(s *server) error { return b.files(filepath.Join(s.Home, "many"), b.small(2000), smallSize) },
				trial: trial{work: "files down", order: load.Order{Work: "get", Name: "many", Count: files}}},
			row{who: own, rounds: 3, before: func(s *server) error { return s.folder("put") },
				trial: trial{work: "files up", after: clear("put"), order: load.Order{Work: "put", Name: "put", Bytes: smallSize, Count: files}}},
			row{who: own, rounds: 3, before: func(s *server) error { return b.files(filepath.Join(s.Home, fmt.Sprint("list", entries)), entries, 0) },
				trial: trial{work: "entries", entries: entries, order: load.Order{Work: "list", Name: fmt.Sprint("list", entries), Count: 1}}},
			row{who: own, rounds: 3, trial: trial{work: "sessions", memory: true,
				order: load.Order{Work: "idle", Count: sessions, Sessions: 8, Sources: 4}}},
		)
	}
	defer b.forAll(clear("list*"))
	return b.rows(p, rows...)
}
