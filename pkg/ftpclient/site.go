package ftpclient

import (
	"context"
	"fmt"
	"io/fs"
)

// Chmod sets permission bits with SITE CHMOD.
func (c *Conn) Chmod(ctx context.Context, path string, mode fs.FileMode) error {
	if err := checkPath(path); err != nil {
		return err
	}
	_, err := c.do(ctx, "SITE", fmt.Sprintf("CHMOD %03o %s", mode.Perm(), path), 2)
	return err
}
