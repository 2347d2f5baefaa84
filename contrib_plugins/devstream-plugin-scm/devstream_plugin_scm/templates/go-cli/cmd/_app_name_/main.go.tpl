// Command [[ AppName ]] greets.
package main

import (
	"os"

	"[[ module | default("example.com/" ~ AppName) ]]/internal/cli"
)

func main() {
	os.Exit(cli.Run(os.Args[1:], os.Stdout, os.Stderr))
}
