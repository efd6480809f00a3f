package ftp

import (
	"encoding/binary"
	"errors"
	"io"
	"sync"
)

// MODE B, RFC 959 §3.4.2: each block has a header of three bytes, a
// descriptor and a count of up to 65,535.
const (
	blockHeader = 3
	maxBlock    = 1<<16 - 1

	blockEOR     = 128 // a record ends here; a file without records ignores it
	blockEOF     = 64  // the file ends here
	blockSuspect = 32  // the sender doubts its own data
	blockMarker  = 16  // not data but a restart marker
)

// maxEmptyBlocks bounds the blocks without data in a row, which would let a
// peer keep a reader busy and never get on.
const maxEmptyBlocks = 1024

// BlockWriter writes one file as blocks, full ones as far as possible.
type BlockWriter struct {
	w   io.Writer
	buf []byte // header and gathered data
	err error

	whole *[blockHeader + maxBlock]byte // of which buf is a part, until Close; nil where it is its own
}

// NewBlockWriter returns a writer of blocks with at most size bytes of data;
// a size out of range means 65,535.
func NewBlockWriter(w io.Writer, size int) *BlockWriter {
	if size < 1 || size > maxBlock {
		size = maxBlock
	}
	if size == maxBlock {
		// A buffer for each of many small files would be most of what they cost.
		whole := blockBuffers.Get().(*[blockHeader + maxBlock]byte)
		return &BlockWriter{w: w, buf: whole[:blockHeader], whole: whole}
	}
	return &BlockWriter{w: w, buf: make([]byte, blockHeader, blockHeader+size)}
}

var blockBuffers = sync.Pool{New: func() any { return new([blockHeader + maxBlock]byte) }}

// Write gathers p into blocks and sends those that are full.
func (b *BlockWriter) Write(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	done := 0
	for done < len(p) {
		// Only when more is there is a full block sent: the last one waits
		// for Close, and so carries the end of the file itself.
		if len(b.buf) == cap(b.buf) {
			if err := b.send(0); err != nil {
				return done, err
			}
		}
		n := min(len(p)-done, cap(b.buf)-len(b.buf))
		b.buf = append(b.buf, p[done:done+n]...)
		done += n
	}
	return done, nil
}

// Mark sends a marker block: text of the sender's, which is no part of the
// file.
func (b *BlockWriter) Mark(text string) error {
	if len(text) > maxBlock {
		return ErrBlock
	}
	if err := b.Flush(); err != nil {
		return err
	}
	marker := append([]byte{blockMarker, byte(len(text) >> 8), byte(len(text))}, text...)
	_, b.err = b.w.Write(marker)
	return b.err
}

// Flush sends what is gathered as a block of its own.
func (b *BlockWriter) Flush() error {
	if len(b.buf) <= blockHeader {
		return b.err
	}
	return b.send(0)
}

// Close sends the rest with the end of the file. Without it the reader knows
// that the file is not whole. The connection stays open.
func (b *BlockWriter) Close() error {
	if err := b.send(blockEOF); err != nil {
		return err
	}
	b.err = errBlockClosed
	if b.whole != nil {
		blockBuffers.Put(b.whole)
		b.whole, b.buf = nil, nil
	}
	return nil
}

var errBlockClosed = errors.New("ftp: block writer is closed")

func (b *BlockWriter) send(flags byte) error {
	if b.err != nil {
		return b.err
	}
	b.buf[0] = flags
	binary.BigEndian.PutUint16(b.buf[1:], uint16(len(b.buf)-blockHeader))
	_, b.err = b.w.Write(b.buf)
	b.buf = b.buf[:blockHeader]
	return b.err
}

// BlockReader reads one file from blocks. It takes no byte beyond the file's
// last block, so that the next file can follow on the same connection.
type BlockReader struct {
	r     io.Reader
	left  int  // bytes of the current block still to come
	last  bool // the current block ends the file
	empty int  // blocks without data in a row
	err   error
}

// NewBlockReader returns a reader of one file.
func NewBlockReader(r io.Reader) *BlockReader { return &BlockReader{r: r} }

// Mark reads a marker block of up to most bytes, which must be what comes
// next, and returns its text. It is called between blocks.
func (b *BlockReader) Mark(most int) (string, error) {
	if b.err != nil {
		return "", b.err
	}
	var header [blockHeader]byte
	if _, err := io.ReadFull(b.r, header[:]); err != nil {
		b.err = truncated(err)
		return "", b.err
	}
	count := int(binary.BigEndian.Uint16(header[1:]))
	if header[0] != blockMarker || count > most || b.left > 0 || b.last {
		b.err = ErrBlock
		return "", b.err
	}
	text := make([]byte, count)
	if _, err := io.ReadFull(b.r, text); err != nil {
		b.err = truncated(err)
	}
	return string(text), b.err
}

// Read returns the file's data; io.EOF is the end that the sender announced.
// A stream that ends without it is [ErrBlockTruncated], and a header that
// this end does not understand or believe is [ErrBlock].
func (b *BlockReader) Read(p []byte) (int, error) {
	for b.err == nil && b.left == 0 {
		if b.last {
			b.err = io.EOF
		} else {
			b.err = b.next()
		}
	}
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	if n > 0 {
		b.empty = 0
		return n, nil // an error that came along comes again
	}
	if err != nil {
		b.err = truncated(err)
	}
	return 0, b.err
}

// next reads a header, and a marker to its end.
func (b *BlockReader) next() error {
	var header [blockHeader]byte
	if _, err := io.ReadFull(b.r, header[:]); err != nil {
		return truncated(err)
	}
	flags, count := header[0], int(binary.BigEndian.Uint16(header[1:]))
	if flags&^(blockEOR|blockEOF|blockMarker) != 0 {
		return ErrBlock // blockSuspect too: doubtful data is no file
	}
	b.last = flags&blockEOF != 0
	if b.empty++; b.empty > maxEmptyBlocks {
		return ErrBlock
	}
	if flags&blockMarker == 0 {
		b.left = count
		return nil
	}
	_, err := io.CopyN(io.Discard, b.r, int64(count))
	return truncated(err)
}

// truncated names the end of the stream where a block should be; other errors
// are the connection's own.
func truncated(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrBlockTruncated
	}
	return err
}
