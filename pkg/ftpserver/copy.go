package ftpserver

import (
	"io"
	"runtime"
	"sync"
	"time"
)

// copyChunk is how much is read and written at a time, in bytes: pieces of
// this size cost the fewest system calls for each byte; larger ones gain
// nothing.
const copyChunk = 256 << 10

var chunks = sync.Pool{New: func() any { b := make([]byte, copyChunk); return &b }}

// copyData moves src to dst until src ends, counting. Errors are named by the
// side that failed.
func (t *transfer) copyData(dst io.Writer, src io.Reader, readFault, writeFault error) error {
	chunk := chunks.Get().(*[]byte)
	defer chunks.Put(chunk)
	pace := newBreather()
	for {
		enough := 1
		if t.bytes.Load() >= copyChunk {
			enough = copyChunk // it is not a small file, nor one whose client takes its time
		}
		n, err := fill(*chunk, enough, src, &pace)
		if n > 0 {
			if _, werr := dst.Write((*chunk)[:n]); werr != nil {
				return blame(writeFault, werr)
			}
			t.bytes.Add(int64(n))
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return blame(readFault, err)
		}
	}
}

// held is how long bytes may wait for more that are written with them.
const held = time.Second

// fill reads until there is enough to be written. A TLS connection hands out
// record by record, and a file that is written in pieces of 16 KiB costs a
// fifth more of an upload's processor time.
func fill(chunk []byte, enough int, src io.Reader, pace *breather) (n int, err error) {
	began := pace.last
	for {
		k, err := src.Read(chunk[n:])
		n += k
		pace.breathe()
		if err != nil || n >= enough || pace.last.Sub(began) >= held {
			return n, err
		}
	}
}

// breather has a goroutine step aside now and then.
//
// Go's watchdog (runtime.sysmon) takes one that has had its processor for
// 10 ms without a break for one that hogs it: from then on it looks every
// 20 µs and takes the processor away in whatever system call it finds, for a
// tenth of all the time that a transfer computes. One that steps aside in time
// is left alone.
type breather struct{ last, aside time.Time }

// breath is how often it steps aside.
const breath = 5 * time.Millisecond

func newBreather() breather {
	now := time.Now()
	return breather{last: now, aside: now}
}

func (b *breather) breathe() {
	b.last = time.Now()
	if b.last.Sub(b.aside) >= breath {
		b.aside = b.last
		runtime.Gosched()
	}
}
