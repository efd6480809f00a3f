//go:build !unix

package shell

import "os"

// suspend does nothing: no shell here could wake the program again.
func suspend() {}

// watchWidth hears nothing: nobody tells of a terminal's new width here.
func (t *Terminal) watchWidth(func()) { t.resized = make(chan os.Signal, 1) }
