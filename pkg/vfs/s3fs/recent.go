package s3fs

import (
	"strings"
	"sync"
	"time"
)

// seen is what this process learned of a store in the last moments, so that
// many small files in one folder do not ask for the same things again and
// again. It holds nothing that is wrong to believe for that long. Keys are
// those of [FS.at].
type seen struct {
	folders  recent[struct{}] // is there: a file in it implies it again
	partless recent[struct{}] // no broken upload lies in it: one that is overlooked is swept later, and who goes on from one asks
	objects  recent[known]    // what lies under a key: a time counts only for the ETag that it was given to
	names    recent[*names]   // what a folder holds: what another server put there meanwhile is replaced, as it would be a moment later
}

// known is an object that this process stored or read.
type known struct {
	etag  string
	size  int64
	sum   []byte // SHA-256, nil where the store keeps none
	timed bool   // there may be times of the name already
}

// forget drops all that is believed of a key, and of what lies below it.
func (s *seen) forget(at string) {
	s.folders.forget(at)
	s.partless.forget(at)
	s.objects.forget(at)
	s.names.forget(at)
}

// madePart notes that a broken upload may lie in a folder from now on.
func (s *seen) madePart(folder string) {
	s.partless.forget(folder)
	s.made(folder + "/" + hiddenPart)
}

// made notes what this process made.
func (s *seen) made(at string) {
	folder, base := at[:strings.LastIndexByte(at, '/')], at[strings.LastIndexByte(at, '/')+1:]
	if n, ok := s.names.knows(folder); ok {
		n.add(base)
	}
}

// believed is how long, and many how much of a kind.
const (
	believed = 2 * time.Second
	many     = 10_000
)

// recent is what was learned of one kind, each fact for a moment.
type recent[V any] struct {
	mu    sync.Mutex
	facts map[string]fact[V]
}

type fact[V any] struct {
	value V
	when  time.Time
}

func (r *recent[V]) learn(at string, value V) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.facts) >= many || r.facts == nil {
		r.facts = make(map[string]fact[V])
	}
	r.facts[at] = fact[V]{value, time.Now()}
}

func (r *recent[V]) knows(at string) (value V, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f, ok := r.facts[at]
	if !ok || time.Since(f.when) >= believed {
		return value, false
	}
	return f.value, true
}

// knew reports that something was learned of a key, however long ago.
func (r *recent[V]) knew(at string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.facts[at]
	return ok
}

// forget drops a key and what lies below it.
func (r *recent[V]) forget(at string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key := range r.facts {
		if key == at || strings.HasPrefix(key, at+"/") {
			delete(r.facts, key)
		}
	}
}
