// Package cli is the command line of Pawl: it looks at a store, starts, raises and resumes instances and, in a program
// that registers functions, runs a worker.
//
// cmd/pawl is this package with nothing registered. A program of your own mounts the same commands beside its
// registrations, and then has a worker too:
//
//	func main() {
//		os.Exit(cli.Main(context.Background(), cli.Config{Name: "orders", Register: register}))
//	}
//
//	func register(app *pawl.App) error {
//		pawl.RegisterOrchestration(app, PlaceOrder)
//		return pawl.RegisterActivity(app, ChargeCard)
//	}
//
// A program with a cobra tree adds Command to it, and maps the error of Execute with ExitCode.
//
// Every command opens the store for itself and closes it before it returns. Results go to standard output; what is said
// to people goes to standard error. The package knows the providers (OpenStore) but nothing of how they work.
package cli
