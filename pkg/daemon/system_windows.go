package daemon

import "ftps/pkg/fault"

// holds says why the server does not run here. On Windows one file answers to
// many names (letter case, trailing dots and spaces, short names, streams),
// and what an account may see and touch is decided by its name.
func holds() error { return fault.New("cli.server.system") }
