// Command ftps serves files over FTP with TLS on every connection, and is a
// client for such servers.
//
// Each subcommand is one file: a constructor, a struct of options, and a run
// function that tests can call. The program's sentences stand in package
// catalog; this package holds none.
package main

import "os"

func main() { os.Exit(newApp().run(os.Args[1:])) }
