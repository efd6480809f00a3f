package s3fs

import (
	"context"
	"strings"
	"sync"
)

// names is what a folder held a moment ago, and what this process put there
// since: one listing in the place of a question for each of many new files.
type names struct {
	mu     sync.Mutex
	taken  map[string]bool
	listed bool // the store has answered
	whole  bool // with all the names
}

func (n *names) add(base string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.taken[base] = true
}

func (n *names) finish(whole bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.listed, n.whole = true, whole
}

func (n *names) lacks(base string) (lacking, listed bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.whole && !n.taken[base], n.listed
}

// mostNames is how many one answer of a store has.
const mostNames = 1000

// vacant reports that a name in a folder is free, as far as this process can
// tell without asking for that name; false is no answer. It lists a folder
// into which something was just sent, if one request suffices for that.
func (f *FS) vacant(ctx context.Context, folder, base string) bool {
	at := f.at(folder)
	if n, ok := f.store.seen.names.knows(at); ok {
		if lacking, listed := n.lacks(base); listed {
			return lacking
		}
	}
	if !f.store.seen.partless.knew(at) {
		return false // the first of them, and maybe the only one
	}
	done, err := f.store.turn.take(ctx, at+"/") // no key of a file or folder in it
	if err != nil {
		return false
	}
	defer done()
	n, ok := f.store.seen.names.knows(at)
	if !ok {
		n = f.namesOf(ctx, folder)
	}
	lacking, _ := n.lacks(base)
	return lacking
}

// namesOf lists a folder for its names. What it shows besides need not be
// asked for either: that the folder is there, and no broken upload in it.
func (f *FS) namesOf(ctx context.Context, folder string) *names {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	at, seen := f.at(folder), &f.store.seen
	n := &names{taken: make(map[string]bool)}
	seen.names.learn(at, n) // before it is listed: what is made meanwhile is noted
	count := 0
	for o := range f.objects(ctx, folder, listing{}) {
		if count++; o.Err != nil || count > mostNames {
			n.finish(false)
			return n
		}
		n.add(strings.TrimSuffix(o.Key[len(folder):], "/"))
	}
	n.finish(true)
	if count > 0 {
		seen.folders.learn(at, struct{}{})
	}
	if lacking, _ := n.lacks(hiddenPart); lacking {
		seen.partless.learn(at, struct{}{})
	}
	return n
}
