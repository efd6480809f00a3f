//go:build torture

package integration

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"ftps/pkg/ftp"
)

// stepList lists in one of the four ways and compares each entry.
func (w *worker) stepList(name string, at *branch, path []string) error {
	if w.random.IntN(3) == 0 { // the client's folder itself is always there
		name, at, path = "/"+w.top(), w.tree, nil
	}
	verb := []string{"LIST", "NLST", "MLSD", "MLST"}[w.random.IntN(4)]
	line := verb + " " + name
	if verb == "MLST" {
		if at == nil {
			_, err := w.say(550, line)
			return err
		}
		text, err := w.say(250, line)
		if err != nil {
			return err
		}
		lines := strings.Split(text, "\n")
		e, err := ftp.ParseFactsLine(strings.TrimPrefix(lines[1], " "))
		if err != nil {
			return err
		}
		if want := "/" + strings.Join(append([]string{w.top()}, path...), "/"); e.Name != want {
			return fmt.Errorf("%s names %q, not %q", line, e.Name, want)
		}
		return w.sameEntry(line, e, at)
	}
	code := 226
	switch {
	case at == nil:
		code = 550
	case verb == "MLSD" && !at.dir:
		code = 501 // RFC 3659 §7.2.1
	}
	text, err := w.take(code, line)
	if err != nil || code != 226 {
		return err
	}
	want := at.kids
	if !at.dir {
		want = map[string]*branch{path[len(path)-1]: at}
	}
	seen := 0
	for row := range bytes.Lines(text) {
		row, crlf := bytes.CutSuffix(row, []byte("\r\n"))
		if !crlf {
			return fmt.Errorf("%s: a line without CRLF: %q", line, row)
		}
		e := ftp.Entry{Name: string(row), Size: -1}
		switch verb {
		case "LIST":
			e, err = ftp.ParseListLine(string(row), time.Now())
		case "MLSD":
			e, err = ftp.ParseFactsLine(string(row))
		}
		if err != nil {
			return fmt.Errorf("%s: %q: %w", line, row, err)
		}
		if verb == "MLSD" && (e.Type == ftp.CurrentDir || e.Type == ftp.ParentDir) {
			continue
		}
		kid := want[e.Name]
		if kid == nil {
			return fmt.Errorf("%s shows %q, which should not be there", line, e.Name)
		}
		seen++
		if verb != "NLST" {
			if err := w.sameEntry(line, e, kid); err != nil {
				return err
			}
		}
	}
	if seen != len(want) {
		return fmt.Errorf("%s shows %d entries of %d", line, seen, len(want))
	}
	return nil
}

func (w *worker) sameEntry(line string, e ftp.Entry, at *branch) error {
	if (e.Type == ftp.Dir) != at.dir && e.Type != ftp.CurrentDir {
		return fmt.Errorf("%s: %q is of the wrong kind", line, e.Name)
	}
	if at.dir {
		return nil
	}
	if e.Size != int64(len(at.data)) {
		return fmt.Errorf("%s: %q has %d bytes, not %d", line, e.Name, e.Size, len(at.data))
	}
	if !e.Precise {
		return nil
	}
	return w.checkTime(at, e.Name, ftp.FormatTime(e.ModTime))
}

// stepShared does in the folder that all clients of the account share what
// comes out the same in whatever order they do it.
func (w *worker) stepShared() error {
	mine := fmt.Sprintf("%s-%d", w.top(), w.random.IntN(4))
	file := "/shared/" + mine
	switch w.random.IntN(7) {
	case 0, 1: // a file of its own
		data := w.content()
		if err := w.give(226, "STOR "+file, data); err != nil {
			return err
		}
		w.own[mine] = data
	case 2:
		want, ok := w.own[mine]
		if !ok {
			_, err := w.take(550, "RETR "+file)
			return err
		}
		got, err := w.take(226, "RETR "+file)
		if err == nil && !bytes.Equal(got, want) {
			err = fmt.Errorf("RETR %s: %d bytes that are not the %d stored", file, len(got), len(want))
		}
		return err
	case 3:
		code := 550
		if _, ok := w.own[mine]; ok {
			code = 250
		}
		delete(w.own, mine)
		_, err := w.say(code, "DELE "+file)
		return err
	case 4: // a folder that one of all makes
		dir := fmt.Sprintf("/shared/d%d", w.random.IntN(200))
		code, lines, err := w.do("MKD " + dir)
		if err != nil {
			return err
		}
		w.note("MKD "+dir, code)
		switch code {
		case 257:
			w.made.mu.Lock()
			w.made.won[w.account+dir]++
			w.made.mu.Unlock()
		case 550:
		default:
			return fmt.Errorf("MKD %s: %d %q", dir, code, lines)
		}
	case 5: // a file that all write: old or new, never half
		body := w.content()
		sum := sha256.Sum256(body)
		return w.give(226, "STOR /shared/hot", append([]byte(hex.EncodeToString(sum[:])), body...))
	case 6:
		data, code, err := w.download("RETR /shared/hot")
		if err != nil {
			return err
		}
		w.note("RETR /shared/hot", code)
		if code == 550 {
			return nil
		}
		if code != 226 || len(data) < 64 {
			return fmt.Errorf("RETR /shared/hot: %d, %d bytes", code, len(data))
		}
		if sum := sha256.Sum256(data[64:]); hex.EncodeToString(sum[:]) != string(data[:64]) {
			return fmt.Errorf("RETR /shared/hot: %d bytes of more than one file", len(data))
		}
	}
	return nil
}
