package s3fs

import (
	"strings"
	"sync"
	"time"
)

// recent is what this process learned of a store in the last moments, so
// that many small files in one folder do not ask for the same things again
// and again. It holds nothing that is wrong to believe for that long: that a
// folder is there (a file in it implies it again), that no broken upload lies
// in a folder (one that is overlooked is swept later; who goes on from one
// asks), and what was stored under a key (a time counts only for the ETag that
// it was given to).
type recent struct {
	mu       sync.Mutex
	folders  map[string]time.Time // by bucket and key
	partless map[string]time.Time // the same
	stored   map[string]stored    // by bucket and key
}

// stored is an object of this process's making.
type stored struct {
	etag  string
	when  time.Time
	timed bool // there may be times of the name already
}

// believed is how long.
const believed = 2 * time.Second

// many bounds each table.
const many = 10_000

func fresh(when time.Time) bool { return time.Since(when) < believed }

func (r *recent) isFolder(at string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return fresh(r.folders[at])
}

func (r *recent) sawFolder(at string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.folders) >= many || r.folders == nil {
		r.folders = make(map[string]time.Time)
	}
	r.folders[at] = time.Now()
}

func (r *recent) isPartless(folder string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return fresh(r.partless[folder])
}

func (r *recent) sawNoParts(folder string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.partless) >= many || r.partless == nil {
		r.partless = make(map[string]time.Time)
	}
	r.partless[folder] = time.Now()
}

func (r *recent) madePart(folder string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.partless, folder)
}

func (r *recent) didStore(at, etag string, timed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.stored) >= many || r.stored == nil {
		r.stored = make(map[string]stored)
	}
	r.stored[at] = stored{etag, time.Now(), timed}
}

func (r *recent) hasStored(at string) (stored, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stored[at]
	return s, fresh(s.when)
}

// forget drops all that is believed of a key, and of what lies below it.
func (r *recent) forget(at string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.stored, at)
	for _, table := range []map[string]time.Time{r.folders, r.partless} {
		for key := range table {
			if strings.HasPrefix(key, at+"/") || key == at {
				delete(table, key)
			}
		}
	}
	for key := range r.stored {
		if strings.HasPrefix(key, at+"/") {
			delete(r.stored, key)
		}
	}
}
