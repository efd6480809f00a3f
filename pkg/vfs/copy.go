package vfs

import (
	"context"
	"io"
)

// CopyRange writes n bytes of src from offset on to dst, to its end where n is
// negative, and stops when the context ends. A hash is a dst like any other.
// It returns io.ErrUnexpectedEOF where src is shorter.
func CopyRange(ctx context.Context, dst io.Writer, src io.ReaderAt, offset, n int64) (int64, error) {
	buf := make([]byte, 256<<10)
	var done int64
	for n < 0 || done < n {
		if ctx.Err() != nil {
			return done, context.Cause(ctx)
		}
		piece := buf
		if n >= 0 {
			piece = buf[:min(int64(len(buf)), n-done)]
		}
		got, err := src.ReadAt(piece, offset+done)
		if got > 0 {
			if _, err := dst.Write(piece[:got]); err != nil {
				return done, err
			}
			done += int64(got)
		}
		switch {
		case err == io.EOF && n >= 0 && done < n:
			return done, io.ErrUnexpectedEOF
		case err == io.EOF:
			return done, nil
		case err != nil:
			return done, err
		}
	}
	return done, nil
}
