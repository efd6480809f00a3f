// Package ftpserver is the protocol engine of an FTP server that speaks TLS
// on both of its sockets, or not at all.
//
// It knows neither users nor disks: a [Backend] answers logins and hands out
// a tree ([vfs.FS]), package dataport lends data connections, and an
// [event.Sink] is told what happened. The engine itself neither logs nor
// prints.
//
// One goroutine owns a session and everything in it; there is no lock. A
// second one reads the control connection a line at a time, on request, so
// that AUTH can change the connection with no read in flight; a third runs
// the transfer, if there is one, so that ABOR and STAT are heard meanwhile.
// Begin reading at table.go, which lists every command, then session.go and
// transfer.go.
package ftpserver
