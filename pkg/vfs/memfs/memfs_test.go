package memfs_test

import (
	"testing"

	"ftps/pkg/vfs"
	"ftps/pkg/vfs/memfs"
	"ftps/pkg/vfs/vfstest"
)

func TestContract(t *testing.T) {
	vfstest.Run(t, func(*testing.T) vfs.FS { return memfs.New() })
}
