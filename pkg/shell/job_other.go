//go:build !unix

package shell

// suspend does nothing: no shell here could wake the program again.
func suspend() {}

// watchWoken hears nothing, for nothing is stopped.
func (t *Terminal) watchWoken(func()) {}

// watchWidth hears nothing: nobody tells of a terminal's new width here.
func (t *Terminal) watchWidth(func()) {}
