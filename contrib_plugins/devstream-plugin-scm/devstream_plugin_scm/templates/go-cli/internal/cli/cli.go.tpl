// Package cli is the command line of [[ AppName ]].
package cli

import (
	"errors"
	"flag"
	"fmt"
	"io"
)

// Version is set by the linker: go build -ldflags "-X .../internal/cli.Version=v1.0.0".
var Version = "dev"

const greeting = [[ greeting | default("Hello from " ~ AppName) | tojson ]]

// Run carries out a command line and returns the exit status: 0 done, 2 wrong usage.
func Run(arguments []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet([[ AppName | tojson ]], flag.ContinueOnError)
	flags.SetOutput(stderr)
	name := flags.String("name", "", "whom to greet")
	version := flags.Bool("version", false, "print the version")
	if err := flags.Parse(arguments); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if *version {
		fmt.Fprintln(stdout, Version)
		return 0
	}
	fmt.Fprintln(stdout, Greeting(*name))
	return 0
}

// Greeting gives the text for a name; for no name, a general one.
func Greeting(name string) string {
	if name == "" {
		return greeting
	}
	return greeting + ", " + name
}
