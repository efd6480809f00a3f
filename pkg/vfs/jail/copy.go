package jail

import (
	"context"
	"io"
	"os"
)

// copyPiece is how much is copied between two looks at the context.
const copyPiece = 16 << 20

// copyFile writes the first n bytes of from to the empty file to, and leaves
// to at its end. It shares the blocks where the file system can; else package
// os uses copy_file_range(2), and read and write where that fails.
func copyFile(ctx context.Context, to, from *os.File, n int64) error {
	if n == 0 {
		return nil
	}
	if clone(to, from) {
		if err := to.Truncate(n); err != nil {
			return err
		}
		_, err := to.Seek(n, io.SeekStart)
		return err
	}
	for n > 0 {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		done, err := io.CopyN(to, from, min(n, copyPiece))
		if err != nil {
			return err
		}
		n -= done
	}
	return nil
}
