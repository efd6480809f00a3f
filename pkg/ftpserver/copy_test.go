package ftpserver

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"ftps/pkg/layer"
)

// records hands out so many bytes as a TLS connection does, and ends with err.
type records struct {
	left  int
	pause time.Duration // before each
	err   error
	given int
}

func (r *records) Read(b []byte) (int, error) {
	if r.left == 0 {
		return 0, r.err
	}
	time.Sleep(r.pause)
	n := min(len(b), r.left, 16<<10)
	for i := range b[:n] {
		b[i] = byte((r.given + i) * 7 >> 3)
	}
	r.left -= n
	r.given += n
	return n, nil
}

// pieces is a file that notes how it was written.
type pieces struct {
	bytes.Buffer
	sizes []int
	from  *records
	late  int // most that was given and not yet written
}

func (p *pieces) Write(b []byte) (int, error) {
	p.late = max(p.late, p.from.given-p.Len())
	p.sizes = append(p.sizes, len(b))
	return p.Buffer.Write(b)
}

func carried(t *testing.T, src *records) (*pieces, *transfer, error) {
	t.Helper()
	all := src.left
	dst, tr := &pieces{from: src}, &transfer{}
	err := tr.copyData(dst, src, errData, nil)
	if dst.Len() != all || tr.bytes.Load() != int64(all) {
		t.Fatalf("%d bytes came, %d were written, %d counted", all, dst.Len(), tr.bytes.Load())
	}
	for i, b := range dst.Bytes() {
		if b != byte(i*7>>3) {
			t.Fatalf("byte %d is wrong", i)
		}
	}
	return dst, tr, err
}

func TestALongUploadIsWrittenInLargePieces(t *testing.T) {
	dst, _, err := carried(t, &records{left: 8<<20 + 5, err: io.EOF})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(dst.sizes); n > 16+32 {
		t.Errorf("%d writes", n)
	}
}

func TestASmallFileIsWrittenAsItComes(t *testing.T) {
	dst, _, err := carried(t, &records{left: 100 << 10, err: io.EOF})
	if err != nil || dst.late > 16<<10 {
		t.Errorf("%d bytes were held back: %v, %v", dst.late, dst.sizes, err)
	}
}

// A resume goes on from what was written.
func TestWhatCameBeforeABreakIsWritten(t *testing.T) {
	_, _, err := carried(t, &records{left: 1<<20 + 70<<10 + 3, err: layer.ErrTruncated})
	if !errors.Is(err, errData) || !errors.Is(err, layer.ErrTruncated) {
		t.Error(err)
	}
}

func TestBytesThatComeSlowlyAreNotHeldForMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dst, _, err := carried(t, &records{left: 1 << 20, pause: 300 * time.Millisecond, err: io.EOF})
		if err != nil || dst.late > 4*16<<10 {
			t.Errorf("%d bytes were held back: %v, %v", dst.late, dst.sizes, err)
		}
	})
}
