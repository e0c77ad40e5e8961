package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/pawlrun/pawl"
)

// Config says what the command line of a program is made of. The zero value of each field means its default.
type Config struct {
	// Name of the program, as shown in help and errors. Default: "pawl".
	Name string
	// Version of the program, as shown by the version command. Default: that of its module.
	Version string
	// Register registers the program's orchestrations and activities. With it there is a worker command.
	Register func(app *pawl.App) error
	// Options for the apps that commands make. Logger is the command's own, at the level of --log-level, unless set.
	Options pawl.Options
	// Extra makes further commands.
	Extra []func(*Session) *cobra.Command
	// Args are the arguments without the program's name. Default: os.Args[1:]. Only Main looks at it.
	Args []string
	// Stdin, Stdout and Stderr default to the process's.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

func (c Config) withDefaults() Config {
	if c.Name == "" {
		c.Name = "pawl"
	}
	if c.Version == "" {
		c.Version = buildVersion()
	}
	if c.Args == nil {
		c.Args = os.Args[1:]
	}
	if c.Stdin == nil {
		c.Stdin = os.Stdin
	}
	if c.Stdout == nil {
		c.Stdout = os.Stdout
	}
	if c.Stderr == nil {
		c.Stderr = os.Stderr
	}
	return c
}

// Main runs the command line and returns the exit status of the process (see the constants). The first interrupt
// (SIGINT, SIGTERM) ends the command gracefully, the second at once, the third kills the process.
func Main(ctx context.Context, cfg Config) int {
	cfg = cfg.withDefaults()
	soft, hard, stop := catchSignals(ctx)
	defer stop()
	root := Command(cfg)
	root.SetArgs(cfg.Args)
	ctx = context.WithValue(soft, hardKey{}, hard)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return ExitOK
	}
	code := ExitCode(err)
	if code != ExitUsage && errors.Is(context.Cause(soft), errInterrupted) {
		code = ExitInterrupted
	}
	// A standard error that cannot be written to leaves the exit status to tell.
	_, _ = fmt.Fprintf(cfg.Stderr, "%s: %s\n", cfg.Name, oneLine(err.Error()))
	return code
}

// errInterrupted is the cause of contexts that a signal has ended.
var errInterrupted = errors.New("interrupted")

// hardKey finds the context that ends with the second interrupt.
type hardKey struct{}

// catchSignals returns a context that ends with the first interrupt and one that ends with the second.
func catchSignals(ctx context.Context) (soft, hard context.Context, stop func()) {
	soft, cancelSoft := context.WithCancelCause(ctx)
	hard, cancelHard := context.WithCancelCause(context.WithoutCancel(ctx))
	signals := make(chan os.Signal, 2)
	done := make(chan struct{})
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		for _, cancel := range []context.CancelCauseFunc{cancelSoft, cancelHard} {
			select {
			case <-signals:
				cancel(errInterrupted)
			case <-done:
				return
			}
		}
		signal.Stop(signals)
	}()
	return soft, hard, func() {
		signal.Stop(signals)
		close(done)
		cancelSoft(nil)
		cancelHard(nil)
	}
}

// Command returns the command line as one command, to be run or to be mounted in another.
func Command(cfg Config) *cobra.Command {
	cfg = cfg.withDefaults()
	s := &Session{cfg: cfg}
	root := &cobra.Command{
		Use:           cfg.Name,
		Short:         "Durable execution for Go: start, look after and run orchestrations",
		Long:          rootHelp,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return noCommand(cmd, args[0])
		},
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return s.begin(cmd) },
	}
	root.SetIn(cfg.Stdin)
	root.SetOut(cfg.Stdout)
	root.SetErr(cfg.Stderr)
	root.Version = versionLine(cfg.Version) // makes cobra's --version
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.SetHelpCommand(helpCommand())
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%v; see %q", err, cmd.CommandPath()+" --help")
	})
	s.addFlags(root)
	root.AddCommand(migrateCommand(s), startCommand(s), getCommand(s), listCommand(s), historyCommand(s), raiseCommand(s),
		cancelCommand(s), terminateCommand(s), suspendCommand(s), resumeCommand(s), updateCommand(s), statusCommand(s), valuesCommand(s), completeCommand(s), benchCommand(s),
		versionCommand(s))
	if cfg.Register != nil {
		root.AddCommand(workerCommand(s), queryCommand(s))
	}
	for _, extra := range cfg.Extra {
		root.AddCommand(extra(s))
	}
	return root
}

// noCommand is the error of a command line whose first word is no command of root.
func noCommand(root *cobra.Command, name string) error {
	root.SuggestionsMinimumDistance = 2
	if meant := root.SuggestionsFor(name); len(meant) > 0 {
		return usagef("there is no command %q; did you mean %q?", name, meant[0])
	}
	return usagef("there is no command %q; %q lists them", name, root.CommandPath()+" --help")
}

// helpCommand is cobra's, but for topics that do not exist: they are wrong usage here.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Show help about a command",
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil {
				return usagef("%v", err)
			}
			if len(rest) > 0 {
				return noCommand(about, rest[0])
			}
			return about.Help()
		},
	}
}

// Session is what the commands of one command line share: flags, streams and the way to the store.
type Session struct {
	cfg       Config
	spec      string
	isDefault bool // spec was not given
	json      bool
	logLevel  string
	log       *slog.Logger
}

func (s *Session) addFlags(root *cobra.Command) {
	f := root.PersistentFlags()
	f.StringVar(&s.spec, "store", "", "`where` instances are kept: a file, sqlite://FILE or postgres://HOST/DB?schema=NAME\n(default $PAWL_STORE, else a file in your data directory)")
	f.BoolVar(&s.json, "json", false, "print JSON: one document, or one a line for lists and histories")
	f.StringVar(&s.logLevel, "log-level", "warn", "`level` of the log on standard error: debug, info, warn, error")
}

// begin checks the common flags.
func (s *Session) begin(cmd *cobra.Command) error {
	if !cmd.Flags().Changed("store") {
		s.spec = os.Getenv("PAWL_STORE")
	} else if s.spec == "" {
		// Probably a variable that is not set. The default store is not what was meant.
		return usagef("--store is empty: leave it out for the default store")
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.logLevel)); err != nil {
		return usagef("--log-level %q: want debug, info, warn or error", s.logLevel)
	}
	s.log = slog.New(slog.NewTextHandler(s.cfg.Stderr, &slog.HandlerOptions{Level: level}))
	return nil
}

// Name is the program's name.
func (s *Session) Name() string { return s.cfg.Name }

// Store is what --store or PAWL_STORE says, "" if neither does.
func (s *Session) Store() string { return s.spec }

// JSON reports whether the output is for machines.
func (s *Session) JSON() bool { return s.json }

// Logger logs to standard error at the chosen level.
func (s *Session) Logger() *slog.Logger { return s.log }

// Stdout is for results.
func (s *Session) Stdout() io.Writer { return s.cfg.Stdout }

// Stderr is for what is said to people.
func (s *Session) Stderr() io.Writer { return s.cfg.Stderr }

// Hard returns the context of last resort: it ends with the second interrupt, while ctx ends with the first.
func (s *Session) Hard(ctx context.Context) context.Context {
	if hard, ok := ctx.Value(hardKey{}).(context.Context); ok {
		return hard
	}
	return context.WithoutCancel(ctx)
}

// args checks the number of positional arguments, from min to max.
func args(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) >= least && len(args) <= most {
			return nil
		}
		plural := "s"
		if len(args) == 1 {
			plural = ""
		}
		return usagef("got %d argument%s, the form is %q", len(args), plural, cmd.UseLine())
	}
}

// oneLine keeps an error on the line it is promised to be, and says nothing twice.
func oneLine(s string) string {
	lines := strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' })
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	lines = slices.Compact(lines)
	return strings.NewReplacer(":; ", ": ").Replace(strings.Join(lines, "; "))
}
