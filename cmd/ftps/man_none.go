//go:build !man

package main

import "github.com/spf13/cobra"

// builders are commands for building a release: none in the program itself.
var builders []func(*app) *cobra.Command
