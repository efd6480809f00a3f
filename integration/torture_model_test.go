//go:build torture

package integration

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ftps/pkg/ftp"
)

// tortureModel has many clients do random things, each in a folder of its
// own and in one that they share, and holds every reply, every byte and at
// the end the disk against a model of the tree.
func tortureModel(t *testing.T) {
	const workers = 12
	accounts := []string{"ana", "pass-ana", "blas", "pass-blas", "cruz", "pass-cruz"}
	v := newPrey(t, accounts)
	for i := 0; i < len(accounts); i += 2 {
		if err := os.MkdirAll(filepath.Join(v.home(accounts[i]), "shared"), 0o750); err != nil {
			t.Fatal(err)
		}
	}
	start := v.warm(accounts[0], accounts[1])
	began := time.Now()

	var all sync.WaitGroup
	made := &sharedFolders{won: map[string]int{}}
	list := make([]*worker, workers)
	for i := range list {
		k := i % (len(accounts) / 2)
		w := &worker{
			t: t, number: i, addr: v.addr, account: accounts[2*k], password: accounts[2*k+1],
			home: v.home(accounts[2*k]), random: random("model", i), began: began,
			tree: newFolder(), own: map[string][]byte{}, made: made,
		}
		list[i] = w
		all.Go(func() { w.run(amount(200_000) / workers) })
	}
	all.Wait()

	commands, refused, moved := 0, 0, int64(0)
	for _, w := range list {
		commands, refused, moved = commands+w.commands, refused+w.refused, moved+w.moved
		if t.Failed() {
			continue // the first difference is the one to look at
		}
		for _, line := range w.tree.differs(filepath.Join(w.home, w.top())) {
			t.Errorf("client %d: %s", w.number, line)
		}
		for name, want := range w.own {
			if got, err := os.ReadFile(filepath.Join(w.home, "shared", name)); err != nil || !bytes.Equal(got, want) {
				t.Errorf("client %d: shared/%s holds %d bytes, not %d, %v", w.number, name, len(got), len(want), err)
			}
		}
	}
	for name, n := range made.won {
		if n != 1 {
			t.Errorf("%s was made by %d clients", name, n)
		}
	}
	for _, dir := range temporaries(t, filepath.Join(v.dir, "srv")) {
		t.Errorf("left behind: %s", dir)
	}
	end := v.settled(start)
	v.noFaults()
	tell(t, "model", fmt.Sprintf("%d commands of %d clients in %d accounts, %d of them refused, %.0f MiB moved, in %.0f s",
		commands, workers, len(accounts)/2, refused, float64(moved)/(1<<20), time.Since(began).Seconds()),
		"every reply, every byte and the tree on the disk as in the model; "+end)
}

// temporaries returns the server's own names below dir that are no parts.
func temporaries(t *testing.T, dir string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(d.Name(), ".ftps-") && !strings.HasPrefix(d.Name(), ".ftps-part-") {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return found
}

// sharedFolders counts who made what.
type sharedFolders struct {
	mu  sync.Mutex
	won map[string]int
}

// worker is one client and its model.
type worker struct {
	t                       *testing.T
	number                  int
	addr, account, password string
	home                    string
	random                  *rand.Rand
	began                   time.Time
	*player

	tree *branch // of its own folder
	cwd  []string
	own  map[string][]byte // its files in the shared folder
	made *sharedFolders

	commands, refused int
	moved             int64
	last              []string // what was said, for whoever looks for a fault
}

func (w *worker) top() string { return fmt.Sprintf("w%d", w.number) }

// run does about so many commands.
func (w *worker) run(commands int) {
	var err error
	if w.player, err = loginPeer(w.addr, "", w.account, w.password); err != nil {
		w.t.Errorf("client %d: %v", w.number, err)
		return
	}
	defer func() { w.player.close() }()
	if _, err := w.say(257, "MKD /"+w.top()); err != nil {
		w.t.Error(err)
	}
	if _, err := w.say(250, "CWD /"+w.top()); err != nil {
		w.t.Error(err)
	}
	for w.commands < commands && !w.t.Failed() {
		if err := w.step(); err != nil {
			w.t.Errorf("client %d: %v\nit had said:\n%s", w.number, err, strings.Join(w.last, "\n"))
			return
		}
	}
}

// note counts a command and its reply.
func (w *worker) note(line string, code int) {
	w.commands++
	if code >= 400 {
		w.refused++
	}
	w.last = append(w.last, fmt.Sprintf("%s -> %d", line, code))
	w.last = w.last[max(0, len(w.last)-25):]
}

// say sends a command and wants a reply of that code.
func (w *worker) say(want int, line string) (string, error) {
	code, lines, err := w.do(line)
	if err != nil {
		return "", fmt.Errorf("%s: %w", line, err)
	}
	w.note(line, code)
	if code != want {
		return "", fmt.Errorf("%s: got %d %q, want %d", line, code, lines, want)
	}
	return strings.Join(lines, "\n"), nil
}

func (w *worker) give(want int, line string, data []byte) error {
	code, err := w.upload(line, data)
	return w.judge(want, line, code, int64(len(data)), err)
}

func (w *worker) take(want int, line string) ([]byte, error) {
	data, code, err := w.download(line)
	return data, w.judge(want, line, code, int64(len(data)), err)
}

func (w *worker) judge(want int, line string, code int, n int64, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", line, err)
	}
	w.note(line, code)
	w.commands++ // EPSV
	w.moved += n
	if code != want {
		return fmt.Errorf("%s: got %d, want %d", line, code, want)
	}
	return nil
}

// names are few, so that clients hit what is there.
var treeNames = []string{"a", "b", "c", "año", "two words", "-x", "~", "q\"q", strings.Repeat("l", 255)}

// path chooses a place below the client's folder.
func (w *worker) path() []string {
	var path []string
	for range 1 + w.random.IntN(3) {
		path = append(path, treeNames[w.random.IntN(len(treeNames))])
		if w.random.IntN(3) == 0 {
			break
		}
	}
	return path
}

// spell writes a path in one of the ways in which it can be written.
func (w *worker) spell(path []string) string {
	full := append([]string{w.top()}, path...)
	prefix := "/"
	if w.random.IntN(2) == 0 { // relative to the working folder
		here := append([]string{w.top()}, w.cwd...)
		common := 0
		for common < len(full)-1 && common < len(here) && full[common] == here[common] {
			common++
		}
		full = append(slices.Repeat([]string{".."}, len(here)-common), full[common:]...)
		prefix = ""
	}
	switch w.random.IntN(12) {
	case 0:
		full = slices.Insert(full, len(full)-1, ".", "")
	case 1:
		full = slices.Insert(full, len(full)-1, "nowhere", "..")
	}
	text := prefix + strings.Join(full, "/")
	if prefix == "" && strings.HasPrefix(text, "-") {
		text = "./" + text // LIST would take it for options
	}
	return text
}

// content is some bytes, few as a rule.
func (w *worker) content() []byte {
	n := w.random.IntN(2000)
	switch w.random.IntN(20) {
	case 0:
		n = 0
	case 1, 2:
		n = w.random.IntN(300_000)
	}
	return seeded(n, w.random.Uint64())
}

// step does one thing and compares.
func (w *worker) step() error {
	path := w.path()
	at := w.tree.find(path)
	name := w.spell(path)
	switch n := w.random.IntN(100); {
	case n < 14:
		return w.stepStore(path, name)
	case n < 20:
		head, refused := w.tree.begin(path, 0, true)
		data := w.content()
		if refused != 0 {
			return w.give(refused, "APPE "+name, data)
		}
		if err := w.give(226, "APPE "+name, data); err != nil {
			return err
		}
		w.tree.put(path, append(head, data...))
		return nil
	case n < 26:
		return w.stepCut(path, name)
	case n < 36:
		return w.stepRetrieve(at, name)
	case n < 46:
		code := w.tree.mkdir(path)
		text, err := w.say(code, "MKD "+name)
		if err == nil && code == 257 && text != ftp.QuotePath("/"+strings.Join(append([]string{w.top()}, path...), "/")) {
			err = fmt.Errorf("MKD %s answers %s", name, text)
		}
		return err
	case n < 50:
		_, err := w.say(w.tree.rmdir(path), "RMD "+name)
		return err
	case n < 51:
		_, err := w.say(w.tree.removeAll(path), "RMDA "+name)
		return err
	case n < 55:
		_, err := w.say(w.tree.remove(path), "DELE "+name)
		return err
	case n < 63:
		return w.stepRename(path, name, at)
	case n < 68:
		data, code := w.tree.told(path)
		return w.sayExactly(code, "SIZE "+name, strconv.Itoa(len(data)))
	case n < 74:
		return w.stepTime(name, at)
	case n < 80:
		if at == nil || !at.dir {
			_, err := w.say(550, "CWD "+name)
			return err
		}
		if _, err := w.say(250, "CWD "+name); err != nil {
			return err
		}
		w.cwd = path
		return w.sayExactly(257, "PWD", ftp.QuotePath("/"+strings.Join(append([]string{w.top()}, path...), "/")))
	case n < 86:
		return w.stepList(name, at, path)
	case n < 88:
		data, code := w.tree.told(path)
		text, err := w.say(code, "HASH "+name)
		sum := sha256.Sum256(data)
		if err == nil && code == 213 && !strings.Contains(strings.ToLower(text), hex.EncodeToString(sum[:])) {
			err = fmt.Errorf("HASH %s answers %s, not %x", name, text, sum)
		}
		return err
	case n < 91:
		return w.stepCopy(path, name, at)
	case n < 93:
		return w.stepNowhere()
	}
	return w.stepShared()
}

// sayExactly wants the code, and where it is not a refusal that text.
func (w *worker) sayExactly(code int, line, want string) error {
	text, err := w.say(code, line)
	if err == nil && code < 400 && text != want {
		err = fmt.Errorf("%s: got %q, want %q", line, text, want)
	}
	return err
}

// stepStore replaces a file, or goes on from somewhere, or announces a size.
func (w *worker) stepStore(path []string, name string) error {
	data := w.content()
	offset := 0
	if w.random.IntN(4) == 0 {
		if there, code := w.tree.told(path); code == 213 {
			offset = w.random.IntN(len(there) + 2)
		} else {
			offset = w.random.IntN(2)
		}
		if _, err := w.say(350, fmt.Sprintf("REST %d", offset)); err != nil {
			return err
		}
	}
	head, refused := w.tree.begin(path, offset, false)
	whole := append(head, data...)
	if w.random.IntN(10) == 0 {
		wrong := w.random.IntN(2)
		if _, err := w.say(200, fmt.Sprintf("ALLO %d", len(whole)+wrong)); err != nil {
			return err
		}
		if wrong > 0 && refused == 0 {
			if err := w.give(451, "STOR "+name, data); err != nil {
				return err
			}
			w.leave(path, whole)
			return nil
		}
	}
	if refused != 0 {
		return w.give(refused, "STOR "+name, data)
	}
	if err := w.give(226, "STOR "+name, data); err != nil {
		return err
	}
	w.tree.put(path, whole)
	return nil
}

// leave is what a broken upload leaves: a part of a new file, nothing of an
// overwrite.
func (w *worker) leave(path []string, part []byte) {
	parent, name := w.tree.spot(path)
	if parent.kids[name] != nil {
		return
	}
	delete(parent.parts, name)
	if len(part) > 0 {
		parent.parts[name] = part
	}
}

// stepCut breaks an upload.
func (w *worker) stepCut(path []string, name string) error {
	data := w.content()
	head, refused := w.tree.begin(path, 0, false)
	if refused != 0 {
		return w.give(refused, "STOR "+name, data)
	}
	line := "STOR " + name
	code, err := w.cut(line, data, w.random.IntN(2) == 0)
	if err != nil {
		return fmt.Errorf("%s, cut: %w", line, err)
	}
	w.note(line+" (cut)", code)
	w.moved += int64(len(data))
	if code != 426 && code != 425 {
		return fmt.Errorf("%s, cut: got %d, want 426", line, code)
	}
	parent, base := w.tree.spot(path)
	if parent.kids[base] != nil {
		return nil // and nothing changed, which later commands will see
	}
	before := parent.parts[base]
	got, lines, err := w.do("SIZE " + name)
	if err != nil {
		return err
	}
	w.note("SIZE "+name, got)
	if got == 550 && len(before) == 0 {
		return nil
	}
	size, err := strconv.Atoi(lines[0])
	fresh := got == 213 && err == nil && size > len(head) && size <= len(head)+len(data)
	switch {
	case fresh && size == len(before):
		// Which of the two it is cannot be told.
		delete(parent.parts, base)
		_, err := w.say(250, "DELE "+name)
		return err
	case fresh:
		w.leave(path, append(head, data...)[:size])
		return nil
	case got == 213 && size == len(before):
		return nil
	}
	return fmt.Errorf("SIZE %s behind a cut upload of %d bytes: %d %q, before it %d", name, len(data), got, lines, len(before))
}

func (w *worker) stepRetrieve(at *branch, name string) error {
	if at == nil || at.dir {
		_, err := w.take(550, "RETR "+name)
		return err
	}
	offset := 0
	if w.random.IntN(4) == 0 {
		offset = w.random.IntN(len(at.data) + 2)
		if _, err := w.say(350, fmt.Sprintf("REST %d", offset)); err != nil {
			return err
		}
		if offset > len(at.data) {
			_, err := w.take(554, "RETR "+name)
			return err
		}
	}
	want := at.data[offset:]
	text := offset == 0 && w.random.IntN(5) == 0
	if text {
		if _, err := w.say(200, "TYPE A"); err != nil {
			return err
		}
		want = bytes.ReplaceAll(want, []byte("\n"), []byte("\r\n"))
	}
	got, err := w.take(226, "RETR "+name)
	if err == nil && !bytes.Equal(got, want) {
		err = fmt.Errorf("RETR %s from %d: %d bytes that are not the file's %d", name, offset, len(got), len(want))
	}
	if text && err == nil {
		_, err = w.say(200, "TYPE I")
	}
	return err
}

func (w *worker) stepRename(path []string, name string, at *branch) error {
	if at == nil {
		if _, err := w.say(550, "RNFR "+name); err != nil {
			return err
		}
		_, err := w.say(503, "RNTO "+name)
		return err
	}
	if _, err := w.say(350, "RNFR "+name); err != nil {
		return err
	}
	if w.random.IntN(20) == 0 {
		// RFC 959 §4.1.3: RNTO follows immediately.
		if _, err := w.say(200, "NOOP"); err != nil {
			return err
		}
		_, err := w.say(503, "RNTO "+name)
		return err
	}
	to := w.path()
	if _, err := w.say(w.tree.rename(path, to), "RNTO "+w.spell(to)); err != nil {
		return err
	}
	if w.random.IntN(5) == 0 {
		_, err := w.say(503, "RNTO "+w.spell(to))
		return err
	}
	return nil
}

// stepTime sets a time, or asks for it.
func (w *worker) stepTime(name string, at *branch) error {
	if w.random.IntN(2) == 0 {
		when := time.Unix(w.random.Int64N(2_000_000_000), 0).UTC()
		code := 213
		if at == nil {
			code = 550
		}
		_, err := w.say(code, "MFMT "+ftp.FormatTime(when)+" "+name)
		if err == nil && at != nil && !at.dir {
			at.when = when
		}
		return err
	}
	if at == nil || at.dir {
		_, err := w.say(550, "MDTM "+name)
		return err
	}
	text, err := w.say(213, "MDTM "+name)
	if err != nil {
		return err
	}
	return w.checkTime(at, name, text)
}

func (w *worker) checkTime(at *branch, name, text string) error {
	when, err := ftp.ParseTime(text)
	switch {
	case err != nil:
		return err
	case !at.when.IsZero() && !when.Equal(at.when):
		return fmt.Errorf("%s is of %s, not of %v", name, text, at.when)
	case at.when.IsZero() && (when.Before(w.began.Add(-2*time.Second)) || when.After(time.Now().Add(2*time.Second))):
		return fmt.Errorf("%s is of %s, which is not now", name, text)
	}
	return nil
}

func (w *worker) stepCopy(path []string, name string, at *branch) error {
	if at == nil || at.dir {
		_, err := w.say(550, "SITE CPFR "+name)
		return err
	}
	if _, err := w.say(350, "SITE CPFR "+name); err != nil {
		return err
	}
	to := w.path()
	_, code := w.tree.begin(to, 0, false)
	switch {
	case slices.Equal(path, to):
		code = 550
	case code == 0:
		code = 200
		w.tree.put(to, at.data)
	}
	_, err := w.say(code, "SITE CPTO "+w.spell(to))
	return err
}

// stepNowhere names what no client may name.
func (w *worker) stepNowhere() error {
	code, name := 550, strings.Repeat("../", 1+len(w.cwd)+1)+"etc/passwd"
	if w.random.IntN(2) == 0 {
		code, name = 553, "/"+w.top()+"/.ftps-part-x"
	}
	switch w.random.IntN(4) {
	case 0:
		return w.give(code, "STOR "+name, []byte("x"))
	case 1:
		_, err := w.take(code, "RETR "+name)
		return err
	case 2:
		_, err := w.say(code, "MKD "+name)
		return err
	}
	_, err := w.say(code, "DELE "+name)
	return err
}
