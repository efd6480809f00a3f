//go:build unix

package jail

import (
	"testing"

	"ftps/pkg/vfs"
	"ftps/pkg/vfs/vfstest"
)

func TestContract(t *testing.T) {
	vfstest.Run(t, func(t *testing.T) vfs.FS { return open(t, t.TempDir()) })
}

// open opens a folder as alice's.
func open(t *testing.T, dir string) *FS {
	t.Helper()
	tree, err := Open(dir, Options{Account: "alice", Umask: vfstest.Umask})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}
