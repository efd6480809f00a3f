package main

import (
	"fmt"
	"math"
	"slices"
)

// figures are those of one work, by who did it.
type figures map[string]map[string][]figure

func (p partRun) into(all figures) {
	for _, f := range p.Figures {
		if f.Fault != "" {
			continue
		}
		if all[f.Work] == nil {
			all[f.Work] = map[string][]figure{}
		}
		all[f.Work][f.Who] = append(all[f.Work][f.Who], f)
	}
}

// measure is what is read off a figure.
type measure struct {
	unit string
	more bool // is better
	of   func(f figure) float64
}

const gib = 1 << 30

var (
	cpuGiB     = measure{"CPU s/GiB", false, func(f figure) float64 { return f.Server / float64(f.Bytes) * gib }}
	cpuOp      = measure{"CPU ms", false, func(f figure) float64 { return f.Server / float64(f.Ops) * 1000 }}
	clientGiB  = measure{"CPU s/GiB", false, func(f figure) float64 { return f.Client / float64(f.Bytes) * gib }}
	throughput = measure{"MiB/s", true, func(f figure) float64 { return float64(f.Bytes) / mib / f.Wall }}
	perSecond  = measure{"a second", true, func(f figure) float64 { return float64(f.Ops) / f.Wall }}
	cpuSeconds = measure{"CPU s", false, func(f figure) float64 { return f.Server }}
	trips      = measure{"round trips", false, func(f figure) float64 { return f.Trips }}
	overIdle   = measure{"MiB", false, func(f figure) float64 { return float64(f.After.Peak-f.Rest.RSS) / 1024 }}
	bySession  = measure{"KiB", false, func(f figure) float64 { return float64(f.After.PSS-f.Rest.PSS) / float64(f.Ops) }}
)

func median(list []float64) float64 {
	if len(list) == 0 {
		return math.NaN()
	}
	list = slices.Sorted(slices.Values(list))
	n := len(list)
	return (list[(n-1)/2] + list[n/2]) / 2
}

func (m measure) median(list []figure) float64 {
	var values []float64
	for _, f := range list {
		values = append(values, m.of(f))
	}
	return median(values)
}

// best returns who of the others did it best.
func (m measure) best(by map[string][]figure, self string, among []string) (who string, value float64) {
	for name, list := range by {
		if name == self || among != nil && !slices.Contains(among, name) {
			continue
		}
		v := m.median(list)
		if who == "" || m.more && v > value || !m.more && v < value || v == value && name < who {
			who, value = name, v
		}
	}
	return who, value
}

// ratio is the median of the ratios round by round; where one was measured in
// fewer rounds, that of the medians.
func (m measure) ratio(a, b []figure) float64 {
	if len(a) != len(b) {
		return m.median(a) / m.median(b)
	}
	var ratios []float64
	for _, f := range a {
		for _, g := range b {
			if g.Round == f.Round {
				ratios = append(ratios, m.of(f)/m.of(g))
			}
		}
	}
	return median(ratios)
}

// goal is a line of the table of goals.
type goal struct {
	what string
	work string
	self string   // "" for our server
	than []string // who is beaten; nil for the best
	m    measure
	// ratio is how much of the best it may be, or must be where more is
	// better; 0 where limit counts, in the measure's unit.
	ratio float64
	limit float64
	say   string // the goal in words
	// why is the reason, found by profile, that a goal is not reached; it is
	// told only then.
	why string
}

var goals = []goal{
	{what: "download 1 GiB, server", work: "down", m: cpuGiB, ratio: 0.75,
		why: "a quarter is AES-GCM, a fifth reading the file, a third the socket's write, all of which the peers pay too; a twentieth copies records together, the rest is waking threads. Less than that takes kernel TLS, which crypto/tls has not"},
	{what: "upload 1 GiB, server", work: "up", m: cpuGiB, ratio: 0.85,
		why: "two thirds are the kernel's, as with the peers: a third finds pages for the file and fills them, a quarter receives; a sixth is AES-GCM"},
	{what: "download, 4 sessions", work: "down4", m: throughput, ratio: 1.2,
		why: "the load generator shares the two cores and takes 0.6 CPU s/GiB of its own: 1.2 times the throughput needs a server of less than 0.7 CPU s/GiB; see the download of one"},
	{what: "upload, 4 sessions", work: "up4", m: throughput, ratio: 1.2,
		why: "the load generator shares the two cores and takes 0.4 to 0.5 CPU s/GiB of its own: 1.2 times the throughput needs a server of 1.0 CPU s/GiB; see the upload of one"},
	{what: "a 4 KiB file down by a stock client, TLS 1.3, server", work: "get", m: cpuOp, ratio: 0.7,
		why: "a third is Go's scheduler (parking threads, its watchdog, polling), an eighth X25519, which crypto/tls does in each resumption, a fifth the rest of TLS and allocations, an eighth network calls; the jail and the file are a seventh up, a thirtieth down"},
	{what: "a 4 KiB file up by a stock client, TLS 1.3, server", work: "put", m: cpuOp, ratio: 0.7,
		why: "a third is Go's scheduler (parking threads, its watchdog, polling), an eighth X25519, which crypto/tls does in each resumption, a fifth the rest of TLS and allocations, an eighth network calls; the jail and the file are a seventh up, a thirtieth down"},
	{what: "a 4 KiB file down by a stock client, TLS 1.2, server", work: "get 1.2", m: cpuOp, ratio: 0.7,
		why: "a third to two fifths is Go's scheduler (parking threads, its watchdog, polling), which a process for each session has not; crypto/tls and allocations are a fifth, network calls a seventh, the log a twentieth; the jail and the file a sixth up, a twentieth down"},
	{what: "a 4 KiB file up by a stock client, TLS 1.2, server", work: "put 1.2", m: cpuOp, ratio: 0.7,
		why: "a third to two fifths is Go's scheduler (parking threads, its watchdog, polling), which a process for each session has not; crypto/tls and allocations are a fifth, network calls a seventh, the log a twentieth; the jail and the file a sixth up, a twentieth down"},
	{what: "a handshake, server", work: "handshake", m: cpuOp, ratio: 1,
		why: "beside a server on a library that does less: a third is crypto/tls, most of it X25519, as there, a third Go's scheduler (parking threads, its watchdog, polling); the orderly end of the connection is a fifteenth, the log a twenty-fifth"},
	{what: "2,000 files of 4 KiB down, our client and our server, files", work: "many down", self: "ftps with ftps",
		than: foreignPairs, m: perSecond, ratio: 10, why: "a file costs 0.08 CPU ms here and 0.1 in the server; ten times rclone would leave 0.13 for both on two cores; half of ours is to create, write, sync, date and rename it, a fifth to read it; of the server's a third opens it twice, for RETR and HASH, a twelfth each writes to socket and log"},
	{what: "2,000 files of 4 KiB up, our client and our server, files", work: "many up", self: "ftps with ftps",
		than: foreignPairs, m: perSecond, ratio: 10},
	{what: "the same at 50 ms, down, files", work: "far files down, 50 ms", self: "ftps with ftps", m: perSecond, ratio: 20},
	{what: "the same at 50 ms, up, files", work: "far files up, 50 ms", self: "ftps with ftps", m: perSecond, ratio: 20, why: "files go with their commands, 64 on their way on each of four connections: 49 round trips for 2,000 of them"},
	{what: "the same at 50 ms, down", work: "far files down, 50 ms", self: "ftps with ftps", m: trips, limit: 40, say: "at most 40"},
	{what: "1 GiB down, client", work: "client down", m: clientGiB, ratio: 0.75, why: "a third writes the file, a fifth is AES-GCM, a sixth reads from the socket, and a fifth is BLAKE3 for the proof, which the others do not ask for; lftp has small windows, which put on the server what they spare it: 4 CPU s for lftp, 1 for others"},
	{what: "1 GiB up, client", work: "client up", m: clientGiB, ratio: 0.75, why: "a quarter is BLAKE3 for the proof, which the others do not ask for; the rest is writes to the socket and reading the file, a little less than a quarter each, and 18 % AES-GCM, as with curl"},
	{what: "2,000 files down with Pure-FTPd, our client, files", work: "many down", self: "ftps with Pure-FTPd",
		than: []string{"rclone with Pure-FTPd"}, m: perSecond, ratio: 1.5, why: "it gives no tickets, so that each data connection is a whole handshake, a quarter of our time; 12 % ask for the port and connect, 14 % is Go's scheduler, 8 % write, sync and rename. rclone spends the same on the first three"},
	{what: "2,000 files up with Pure-FTPd, our client, files", work: "many up", self: "ftps with Pure-FTPd",
		than: []string{"rclone with Pure-FTPd"}, m: perSecond, ratio: 1.5},
	{what: "2,000 files down with vsftpd, our client, files", work: "many down", self: "ftps with vsftpd",
		than: []string{"rclone with vsftpd"}, m: perSecond, ratio: 1.5, why: "rclone speaks TLS 1.2 here, for it fails with 1.3: a resumption without a key exchange, which spares vsftpd alone 0.4 of 0.85 ms a file. Ours asks MDTM besides, for the exact time, and syncs"},
	{what: "2,000 files up with vsftpd, our client, files", work: "many up", self: "ftps with vsftpd",
		than: []string{"rclone with vsftpd"}, m: perSecond, ratio: 1.5},
	{what: "MLSD of 100,000 entries, server", work: "mlsd", than: []string{"Pure-FTPd"}, m: cpuSeconds, ratio: 1,
		why: "half is one fstatat(2) an entry and a tenth getdents(2), which Pure-FTPd makes as well; lines and TLS take a sixth, Go's scheduler round the calls the rest"},
	{what: "MLSD of 100,000 entries, peak memory over idle", work: "mlsd", m: overIdle, limit: 2, say: "at most 2",
		why: "Go's heap grows to 4 MiB before it first looks for garbage"},
	{what: "MLSD of 1,000,000 entries, peak memory over idle", work: "mlsd10", m: overIdle, limit: 2, say: "at most 2",
		why: "Go's heap grows to 4 MiB before it first looks for garbage"},
	{what: "memory by idle logged-in session, of 10,000", work: "idle", m: bySession, limit: 24, say: "at most 24",
		why: "9 KiB are alive (4 of them TLS's keys and buffers), 8 are the session's stack, 2 the allocator's own; the rest is garbage until the server has been calm for 15 s"},
	{what: "NOOP, server", work: "noop", than: []string{"Pure-FTPd"}, m: cpuOp, ratio: 1.2,
		why: "a third is sending the reply, a quarter Go's poller, which is asked twice for each line, a fifth TLS in Go; a process for each session waits in read(2) itself"},
	{what: "logins, same account, bcrypt cost 12", work: "login", than: []string{sftpgo}, m: perSecond, ratio: 1},
}

var foreignPairs = []string{"rclone with Pure-FTPd", "rclone with vsftpd", "lftp mirror -P 4 with Pure-FTPd", "lftp mirror -P 4 with vsftpd"}

// line is a goal with what came of it.
type line struct {
	cells   [6]string
	reached bool
}

// lines reads the table of goals off the figures; a goal without figures has
// no line.
func lines(all figures) (list []line) {
	for _, g := range goals {
		self := g.self
		if self == "" {
			self = ours
		}
		mine := all[g.work][self]
		if len(mine) == 0 {
			continue
		}
		value := g.m.median(mine)
		l := line{cells: [6]string{g.what, g.say + " " + g.m.unit, number(value) + " " + g.m.unit, "", "", ""}}
		who, best := g.m.best(all[g.work], self, g.than)
		if g.limit > 0 {
			l.reached = value <= g.limit || g.m.more && value >= g.limit
			if g.m.more {
				l.reached = value >= g.limit
			}
			if who != "" && g.than == nil {
				l.cells[3] = number(best) + " (" + who + ")"
			}
		} else {
			if who == "" {
				continue
			}
			ratio := g.m.ratio(mine, all[g.work][who])
			l.reached = ratio <= g.ratio || g.m.more && ratio >= g.ratio
			if g.m.more {
				l.reached = ratio >= g.ratio
			}
			bound := "at most"
			if g.m.more {
				bound = "at least"
			}
			l.cells[1] = fmt.Sprintf("%s %g × the best", bound, g.ratio)
			l.cells[3] = number(best) + " (" + who + ")"
			l.cells[4] = fmt.Sprintf("%.2f", ratio)
		}
		l.cells[5] = verdict(l.reached, g.why)
		list = append(list, l)
	}
	if tenfold, ok := tenfold(all); ok {
		list = append(list, tenfold)
	}
	return list
}

// verdict is the last cell of a line: what was not reached says why.
func verdict(reached bool, why string) string {
	switch {
	case reached:
		return "yes"
	case why == "":
		return "**no**"
	}
	return "**no**: " + why
}

// tenfoldWhy is the reason for more than tenfold, as a goal's why.
const tenfoldWhy = "by itself it is 10.8: what is more was the search for what a crash left, still under way on a busy machine"

// tenfold holds the listing of a million beside that of a hundred thousand.
func tenfold(all figures) (line, bool) {
	a, b := all["mlsd10"][ours], all["mlsd"][ours]
	if len(a) == 0 || len(b) == 0 {
		return line{}, false
	}
	ratio := cpuSeconds.median(a) / cpuSeconds.median(b)
	return line{[6]string{"MLSD of 1,000,000 entries over that of 100,000, server", "10 × (a tenth more for noise)",
		number(cpuSeconds.median(a)) + " CPU s", "", fmt.Sprintf("%.1f", ratio), verdict(ratio <= 11, tenfoldWhy)}, ratio <= 11}, true
}

// number writes three digits that count.
func number(v float64) string {
	switch a := math.Abs(v); {
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	case a >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}
