package mirror

// Event is one of the structs below. They arrive from many goroutines; those
// of one item arrive in order.
type Event interface{ event() }

// Planned: the scan is over and the files begin to move.
type Planned struct{ Plan *Plan }

// Started: a file begins to move. Offset bytes are there already.
type Started struct {
	Item   Item
	Offset int64
}

// Comparing: a resume on a server that tells no hash. The bytes that were
// moved before are fetched again and held against what they should be; Moved
// counts them.
type Comparing struct {
	Item  Item
	Bytes int64
}

// Moved: N more bytes of a file have moved.
type Moved struct {
	Item Item
	N    int64
}

// Restarted: a resume was asked for and the file begins at its first byte
// all the same. What Moved has counted for it is void.
type Restarted struct {
	Item   Item
	Reason error // ErrNoRecord, ErrSourceChanged, ErrOverlap, ErrNoResume, ErrUnproven
}

// Retrying: a file broke off and is taken up again.
type Retrying struct {
	Item    Item
	Attempt int // from 1
	Err     error
}

// Done: a file is whole and in its place.
type Done struct {
	Item     Item
	Bytes    int64  // the file's length
	Moved    int64  // what of it went over the wire now
	SHA256   []byte // of the whole file; nil where nothing was read, or hashes were not wanted
	Seconds  float64
	Resumed  bool
	Verified Verified
}

// Failed: a file or a folder could not be done.
type Failed struct {
	Item Item
	Err  error
}

// Left: a file of the plan that is not done, since something ended the whole
// run: Err, which is no fault of this file. What was under way may have come
// to its place, unproven.
type Left struct {
	Item Item
	Err  error
}

// Deleted: a file or folder that the source does not have was removed.
type Deleted struct{ Item Item }

// Skipped: a symlink or a device was left out on purpose.
type Skipped struct {
	Name   string
	Reason error
}

// Gap: the scan could not see what is at this place; whatever is missing in
// the plan there may exist.
type Gap struct {
	Name string
	Err  error
}

func (Planned) event()   {}
func (Started) event()   {}
func (Comparing) event() {}
func (Moved) event()     {}
func (Restarted) event() {}
func (Retrying) event()  {}
func (Done) event()      {}
func (Failed) event()    {}
func (Left) event()      {}
func (Deleted) event()   {}
func (Skipped) event()   {}
func (Gap) event()       {}

// Verified says what proves that a file is whole.
type Verified uint8

// From the weakest to the strongest.
const (
	// Confirmed: close_notify and the server's 2yz, and its size is unknown.
	Confirmed Verified = iota
	// Unclean: the server ended the data connection without close_notify;
	// its 2yz and an equal size speak for the file.
	Unclean
	// BySize: close_notify, 2yz and an equal size.
	BySize
	// ByHash: close_notify, 2yz, and the server's hash is that of what passed.
	ByHash
	// Present: size and time were equal before, and nothing was moved.
	Present
)

// String returns "confirmed", "unclean", "size", "hash" or "present".
func (v Verified) String() string {
	return [...]string{"confirmed", "unclean", "size", "hash", "present"}[v]
}
