package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func versionCommand(s *Session) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the version of the program",
		Args:  args(0, 0),
		RunE: func(*cobra.Command, []string) error {
			if s.json {
				return printJSON(s.cfg.Stdout, map[string]string{"version": s.cfg.Version, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH})
			}
			_, err := fmt.Fprintf(s.cfg.Stdout, "%s %s\n", s.cfg.Name, versionLine(s.cfg.Version))
			return err
		},
	}
}

// versionLine is a version with what else is asked in a report of a defect.
func versionLine(version string) string {
	return fmt.Sprintf("%s (%s, %s/%s)", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// buildVersion is the version the program was built as.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
