package ftpserver

import (
	"context"
	"io/fs"

	"ftps/pkg/event"
	"ftps/pkg/vfs"
)

// maxDepth bounds how deep RMDA goes down, in folders.
const maxDepth = 1000

// removeBatch is how many names of a folder RMDA holds at a time.
const removeBatch = 1000

// rmda is RMDA: a folder with all that is in it. A symlink is removed, not
// followed.
func rmda(s *session, ctx context.Context, a arg) (reply, error) {
	if a.path.IsRoot() {
		return reply{}, fs.ErrPermission
	}
	if err := removeAll(ctx, s.login.account.FS, a.path, maxDepth); err != nil {
		return reply{}, err
	}
	s.emit(event.Changed{Session: s.info, Verb: "RMDA", Name: a.path.String()})
	return say("reply.rmd"), nil
}

func removeAll(ctx context.Context, tree vfs.FS, folder vfs.Name, depth int) error {
	if depth == 0 {
		return fs.ErrPermission
	}
	for {
		// Names are collected first: a folder that loses entries while it is
		// read may skip some. But not all at once, they may be millions.
		var names []vfs.Info
		for info, err := range tree.List(ctx, folder) {
			if err != nil {
				return err
			}
			if names = append(names, info); len(names) == removeBatch {
				break
			}
		}
		if len(names) == 0 {
			return tree.Rmdir(ctx, folder)
		}
		for _, info := range names {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			name := folder.Child(info.Name)
			// A symlink to a folder shows as one. Remove takes the link and
			// refuses a real folder, which is then gone into.
			err := tree.Remove(ctx, name)
			if err != nil && info.Type == vfs.TypeDir {
				err = removeAll(ctx, tree, name, depth-1)
			}
			if err != nil {
				return err
			}
		}
	}
}
