package shell

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ftps/pkg/catalog"
	"ftps/pkg/ftp"
	"ftps/pkg/ftpclient"
	"ftps/pkg/mirror"
)

// server is a Server without a network: a tree in memory, which answers
// through a Dialogue as a connection would.
type server struct {
	dialogue *Dialogue
	cwd      string
	tree     map[string]ftp.Entry // by rooted path
	bad      []error              // yielded by every listing
	listed   int
	quoted   []string
	hash     string // the algorithm it tells
	lost     bool
	left     bool
	block    chan struct{} // a listing waits for it, or for its context
}

func newServer() *server {
	f := &server{cwd: "/", tree: map[string]ftp.Entry{}}
	f.add("/", ftp.Dir, 0)
	f.add("/docs", ftp.Dir, 0)
	f.add("/docs/notes.txt", ftp.File, 12)
	f.add("/hello.txt", ftp.File, 5)
	return f
}

func (f *server) add(p string, t ftp.EntryType, size int64) {
	f.tree[p] = ftp.Entry{Name: path.Base(p), Type: t, Size: size, ModTime: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
}

func (f *server) abs(p string) string {
	if !path.IsAbs(p) {
		p = path.Join(f.cwd, p)
	}
	return path.Clean(p)
}

func (f *server) say(line string, code int, text ...string) error {
	verb, _, _ := strings.Cut(line, " ")
	r := ftp.Reply{Code: code, Lines: text}
	if verb != "" {
		f.dialogue.Trace(true, line)
	}
	f.dialogue.Reply(r)
	if code >= 400 {
		return &ftpclient.ReplyError{Command: verb, Reply: r}
	}
	return nil
}

func (f *server) Cwd(_ context.Context, p string) error {
	if p == ".." && f.cwd == "/" {
		return f.say("CWD ..", 550, "- Acceso denegado")
	}
	e, ok := f.tree[f.abs(p)]
	switch {
	case !ok:
		return f.say("CWD "+p, 550, "- No existe")
	case e.Type != ftp.Dir:
		return f.say("CWD "+p, 550, "- No es directorio")
	}
	f.cwd = f.abs(p)
	return f.say("CWD "+p, 250, "- Directorio cambiado correctamente")
}

func (f *server) Pwd(context.Context) (string, error) {
	return f.cwd, f.say("PWD", 257, ftp.QuotePath(f.cwd))
}

func (f *server) Mkdir(_ context.Context, p string) error {
	f.add(f.abs(p), ftp.Dir, 0)
	return f.say("MKD "+p, 257, "made")
}

func (f *server) Rmdir(ctx context.Context, p string) error { return f.remove("RMD", p) }

func (f *server) Delete(ctx context.Context, p string) error { return f.remove("DELE", p) }

func (f *server) remove(verb, p string) error {
	if _, ok := f.tree[f.abs(p)]; !ok {
		return f.say(verb+" "+p, 550, "Not found")
	}
	delete(f.tree, f.abs(p))
	return f.say(verb+" "+p, 250, "removed")
}

func (f *server) Rename(_ context.Context, from, to string) error {
	e, ok := f.tree[f.abs(from)]
	if !ok {
		return f.say("RNFR "+from, 550, "Not found")
	}
	delete(f.tree, f.abs(from))
	f.add(f.abs(to), e.Type, e.Size)
	return f.say("RNTO "+to, 250, "renamed")
}

func (f *server) List(ctx context.Context, folder string) iter.Seq2[ftp.Entry, error] {
	return func(yield func(ftp.Entry, error) bool) {
		f.listed++
		if f.block != nil {
			_ = f.say("MLSD "+folder, 150, "- Preparado para recibir datos")
			select {
			case <-f.block:
			case <-ctx.Done():
				yield(ftp.Entry{}, ctx.Err())
				return
			}
		}
		at := f.abs(folder)
		e, ok := f.tree[at]
		if !ok || e.Type != ftp.Dir {
			yield(ftp.Entry{}, f.say("MLSD "+folder, 501, "not a folder"))
			return
		}
		_ = f.say("MLSD "+folder, 150, "- Preparado para recibir datos")
		defer func() { _ = f.say("", 226, "- Transferencia completada") }()
		for p, e := range f.tree {
			if p != "/" && path.Dir(p) == at && !yield(e, nil) {
				return
			}
		}
		for _, err := range f.bad {
			if !yield(ftp.Entry{}, err) {
				return
			}
		}
	}
}

func (f *server) Glance(ctx context.Context, folder string) iter.Seq2[ftp.Entry, error] {
	return f.List(ctx, folder)
}

func (f *server) Stat(_ context.Context, p string) (ftp.Entry, error) {
	e, ok := f.tree[f.abs(p)]
	if !ok {
		return e, f.say("MLST "+p, 550, "Not found")
	}
	return e, nil
}

func (f *server) Quote(_ context.Context, line string) (ftp.Reply, error) {
	f.quoted = append(f.quoted, line)
	code := 200
	if strings.HasPrefix(strings.ToUpper(line), "NO") {
		code = 500
	}
	_ = f.say(line, code, "said "+line)
	return ftp.Reply{Code: code, Lines: []string{"said " + line}}, nil
}

func (f *server) Chmod(_ context.Context, p string, mode fs.FileMode) error {
	f.quoted = append(f.quoted, fmt.Sprintf("CHMOD %o %s", mode, p))
	return nil
}

func (f *server) HashMethod() (ftpclient.HashMethod, bool) {
	return ftpclient.HashMethod{Algorithm: f.hash}, f.hash != ""
}

func (f *server) SumOf(_ context.Context, _ ftpclient.HashMethod, p string, _, _ int64) ([]byte, error) {
	return []byte("sum of " + p), nil
}

func (f *server) Quit(context.Context) error {
	f.left = true
	return f.say("QUIT", 221, "- Cerrando conexión")
}

func (f *server) TLS() tls.ConnectionState {
	return tls.ConnectionState{Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256}
}

func (f *server) Usable() bool { return !f.lost && !f.left }

func (f *server) Gone() bool { return f.lost }

func (f *server) Touch(_ context.Context, p string, at time.Time) error {
	e, ok := f.tree[f.abs(p)]
	if !ok {
		f.add(f.abs(p), ftp.File, 0)
		e = f.tree[f.abs(p)]
	}
	e.ModTime = at
	f.tree[f.abs(p)] = e
	return nil
}

// moved is what a Files was asked for.
type moved struct {
	from, to string
	options  mirror.Options
}

// mover is a Files that notes what it was asked for.
type mover struct {
	got, put []moved
	play     []mirror.Event
	result   mirror.Result
	err      error
	changes  mirror.Changes
	mirrored []string
}

func (m *mover) Get(_ context.Context, remote, local string, o mirror.Options, tell func(mirror.Event)) (mirror.Result, error) {
	m.got = append(m.got, moved{remote, local, o})
	return m.run(tell)
}

func (m *mover) Put(_ context.Context, local, remote string, o mirror.Options, tell func(mirror.Event)) (mirror.Result, error) {
	m.put = append(m.put, moved{local, remote, o})
	return m.run(tell)
}

func (m *mover) GetSome(_ context.Context, items []mirror.Item, local string, o mirror.Options, tell func(mirror.Event)) (mirror.Result, error) {
	for _, item := range items {
		m.got = append(m.got, moved{item.Remote, local, o})
	}
	return m.run(tell)
}

func (m *mover) PutSome(_ context.Context, local string, names []string, remote string, o mirror.Options, tell func(mirror.Event)) (mirror.Result, error) {
	for _, name := range names {
		m.put = append(m.put, moved{local + "/" + name, remote, o})
	}
	return m.run(tell)
}

func (m *mover) run(tell func(mirror.Event)) (mirror.Result, error) {
	for _, e := range m.play {
		tell(e)
	}
	return m.result, m.err
}

func (m *mover) Mirror(_ context.Context, source, target string, o mirror.MirrorOptions, see func(*mirror.Changes) bool, _ func(mirror.Event)) (mirror.Result, error) {
	m.mirrored = append(m.mirrored, fmt.Sprintf("%s > %s %+v", source, target, o))
	c := m.changes
	c.Options = o
	if see(&c) {
		m.mirrored = append(m.mirrored, "applied")
	}
	return mirror.Result{}, nil
}

func (m *mover) Read(_ context.Context, name string, _ int64, out io.Writer) error {
	_, err := io.WriteString(out, "content of "+name+"\n")
	return err
}

// stage is a session on a fake server, with its output.
type stage struct {
	*Session
	server   *server
	mover    *mover
	out, err buffer
}

// buffer is a bytes.Buffer that a local command may write to as well.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (b *buffer) Len() int { return len(b.String()) }

func (b *buffer) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text.Reset()
}

func newStage(t *testing.T, change ...func(*Options)) *stage {
	t.Helper()
	st := &stage{server: newServer(), mover: &mover{}}
	o := Options{
		Lang: catalog.English, Server: st.server, Files: st.mover,
		Out: &st.out, Err: &st.err, Folder: t.TempDir(), Host: "host", User: "diego",
	}
	for _, c := range change {
		c(&o)
	}
	if o.Dialogue == nil {
		o.Dialogue = NewDialogue(&st.err, o.ColourErr, false)
	}
	st.server.dialogue = o.Dialogue
	var err error
	if st.Session, err = New(o); err != nil {
		t.Fatal(err)
	}
	return st
}

// run plays lines and returns what they wrote to the two streams.
func (st *stage) run(t *testing.T, script string) (out, errs string, err error) {
	t.Helper()
	st.out.Reset()
	st.err.Reset()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err = st.Script(ctx, strings.NewReader(script))
	return st.out.String(), st.err.String(), err
}

func lines(s string) []string {
	return slices.Collect(strings.SplitSeq(strings.TrimRight(s, "\n"), "\n"))
}
