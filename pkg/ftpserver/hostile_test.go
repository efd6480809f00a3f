package ftpserver_test

import (
	"context"
	"iter"

	"ftps/pkg/vfs"
)

// hostile is a tree with a name that would forge a second line in a listing,
// as somebody with a shell on the server could make it.
type hostile struct{ vfs.FS }

func (h hostile) List(context.Context, vfs.Name) iter.Seq2[vfs.Info, error] {
	return func(yield func(vfs.Info, error) bool) {
		_ = yield(vfs.Info{Name: "honest"}, nil) &&
			yield(vfs.Info{Name: "evil\r\nforged"}, nil)
	}
}
