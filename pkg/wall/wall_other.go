//go:build !linux

package wall

// ABI is 0: only Linux has Landlock.
func ABI() int { return 0 }

func noNewPrivileges() error { return nil }

func restrict([]Folder) error { return nil }
