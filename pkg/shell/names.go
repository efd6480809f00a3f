package shell

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"ftps/pkg/ftp"
	"ftps/pkg/ftpclient"
)

const (
	// namesLife is how long a listing serves for completion: others write too.
	namesLife = time.Minute
	// namesFolders and namesMost bound what is kept.
	namesFolders = 32
	namesMost    = 20_000
	// fetchTime bounds one listing for completion.
	fetchTime = 10 * time.Second
	// fetchGrace is what a command that was typed waits for a listing under
	// way: to break one off takes longer than most need to end.
	fetchGrace = 300 * time.Millisecond
)

// names is what completion knows of the server's folders, by the path as it
// is typed. It is filled in the background while a person types, and at no
// other time: the connection is a command's as soon as there is one.
type names struct {
	list func(ctx context.Context, folder string) ([]ftp.Entry, error)

	mu      sync.Mutex
	known   map[string]listed
	typing  bool          // no command runs
	fetched chan struct{} // closed at the end of the listing under way; nil for none
	stop    context.CancelFunc
}

type listed struct {
	entries []ftp.Entry
	at      time.Time
}

// get returns what is known of a folder.
func (n *names) get(folder string) ([]ftp.Entry, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l, ok := n.known[folder]
	return l.entries, ok && time.Since(l.at) < namesLife
}

// put notes a folder's entries.
func (n *names) put(folder string, entries []ftp.Entry) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.known) >= namesFolders || n.known == nil {
		n.known = make(map[string]listed)
	}
	n.known[folder] = listed{slices.Clone(entries[:min(len(entries), namesMost)]), time.Now()}
}

// clear forgets all, because much has changed.
func (n *names) clear() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.known)
}

// made notes a name that we have made, removed one that we have removed. What
// is known of the same folder by another path is forgotten.
func (n *names) made(name string, kind ftp.EntryType) {
	n.change(name, func(entries []ftp.Entry, base string) []ftp.Entry {
		return append(entries, ftp.Entry{Name: base, Type: kind, Size: -1})
	})
}

func (n *names) removed(name string) {
	n.change(name, func(entries []ftp.Entry, _ string) []ftp.Entry { return entries })
}

func (n *names) change(name string, with func([]ftp.Entry, string) []ftp.Entry) {
	folder, base := splitPath(name, "/")
	n.mu.Lock()
	defer n.mu.Unlock()
	l, ok := n.known[folder]
	clear(n.known)
	if ok && base != "" {
		others := slices.DeleteFunc(l.entries, func(e ftp.Entry) bool { return e.Name == base })
		n.known[folder] = listed{with(others, base), l.at}
	}
}

// open lets listings be fetched from now on: a line is being typed.
func (n *names) open() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.typing = true
}

// fetch lists a folder in the background, and returns a channel that is
// closed when that is done; nil where it cannot be begun now.
func (n *names) fetch(folder string) <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.typing || n.fetched != nil {
		return n.fetched
	}
	ctx, stop := context.WithTimeout(context.Background(), fetchTime)
	done := make(chan struct{})
	n.fetched, n.stop = done, stop
	go func() {
		defer stop()
		entries, err := n.list(ctx, folder)
		if err == nil {
			n.put(folder, entries)
		}
		n.mu.Lock()
		n.fetched = nil
		n.mu.Unlock()
		close(done)
	}()
	return done
}

// shut returns when no listing is under way, and none will be until open.
func (n *names) shut() {
	n.mu.Lock()
	n.typing = false
	done, stop := n.fetched, n.stop
	n.mu.Unlock()
	if done == nil {
		return
	}
	select {
	case <-done:
	case <-time.After(fetchGrace):
		stop()
		<-done
	}
}

// glance lists a folder for completion, without a word.
func (s *Session) glance(ctx context.Context, folder string) ([]ftp.Entry, error) {
	defer s.Dialogue.mutely()()
	var entries []ftp.Entry
	for e, err := range s.Server.Glance(ctx, folder) {
		var line *ftpclient.UnknownLineError
		var name *ftpclient.NameError
		switch {
		case errors.As(err, &line), errors.As(err, &name):
		case err != nil:
			return nil, err
		default:
			entries = append(entries, e)
		}
		if len(entries) == namesMost {
			return entries, nil
		}
	}
	return entries, nil
}

// namesKey is a folder as a word that is being typed names it.
func namesKey(folder string) string {
	if folder == "" || strings.HasSuffix(folder, "/") {
		return folder
	}
	return folder + "/"
}
