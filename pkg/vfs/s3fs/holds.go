package s3fs

import (
	"strings"

	"ftps/pkg/vfs"
)

// enter counts the uploads under way into a folder. None begins where the
// folder is being renamed or removed: what came in between would be removed
// with what had been copied.
func (s *Store) enter(folder string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for at := range s.held {
		if strings.HasPrefix(folder, at) {
			return vfs.ErrBusy
		}
	}
	s.uploads[folder]++
	return nil
}

func (s *Store) leave(folder string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.uploads[folder]--; s.uploads[folder] == 0 {
		delete(s.uploads, folder)
	}
}

// hold keeps uploads out of a folder into which none is under way.
func (s *Store) hold(folder string) (done func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[folder] || s.busy(folder) {
		return nil, vfs.ErrBusy
	}
	s.held[folder] = true
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.held, folder)
	}, nil
}

// busy reports uploads into a folder, or into one below it; mu is held.
func (s *Store) busy(folder string) bool {
	for at := range s.uploads {
		if strings.HasPrefix(at, folder) {
			return true
		}
	}
	return false
}
