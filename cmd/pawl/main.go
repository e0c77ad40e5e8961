// Command pawl looks after a store of Pawl from the command line, and demonstrates what Pawl is for; see package cli and
// docs/cli.md.
package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/pawlrun/pawl/cli"
	"github.com/pawlrun/pawl/internal/demo"
)

func main() {
	os.Exit(cli.Main(context.Background(), cli.Config{
		Extra: []func(*cli.Session) *cobra.Command{demo.Command, demo.WorkerCommand},
	}))
}
