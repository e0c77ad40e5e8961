package main

import (
	"context"
	_ "embed" // the server's configuration
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/durationpb"
)

// The versions of Temporal's programs. The CLI's is the newest of which all modules can be had.
const (
	temporalCLIVersion    = "1.5.1"
	temporalServerVersion = "1.32.1"
)

// temporalDynamicConfig lifts the limits that are set for clusters of many shards and tenants. A shard asks for its new
// tasks at most 20 times a second by default; with few shards that alone is 50 ms for each step of a workflow.
var temporalDynamicConfig = map[string]string{
	"history.transferProcessorMaxPollRPS": "10000",
	"history.timerProcessorMaxPollRPS":    "10000",
	"history.persistenceMaxQPS":           "1000000",
	"matching.persistenceMaxQPS":          "1000000",
	"frontend.persistenceMaxQPS":          "1000000",
	"frontend.namespaceRPS":               "1000000",
	"frontend.rps":                        "1000000",
	"history.rps":                         "1000000",
	"matching.rps":                        "1000000",
}

// startTemporalDev starts the dev server on a file.
func startTemporalDev(ctx context.Context, e *surroundings) (*daemon, error) {
	program, err := e.programs.build(ctx, "github.com/temporalio/cli/cmd/temporal", temporalCLIVersion)
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	args := []string{"server", "start-dev", "--headless", "--ip", "127.0.0.1", "--log-level", "error", "--disable-config-file",
		"--port", ports[0], "--http-port", ports[1], "--db-filename", filepath.Join(e.dir, "temporal.db"),
		"--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=FULL"}
	for key, value := range temporalDynamicConfig {
		args = append(args, "--dynamic-config-value", key+"="+value)
	}
	return startDaemon(filepath.Join(e.dir, "log"), "127.0.0.1:"+ports[0], program, args...)
}

//go:embed temporalserver.yaml
var temporalServerConfig string

// startTemporalServer makes the schema in two databases, starts the server and makes the namespace.
func startTemporalServer(ctx context.Context, e *surroundings) (*daemon, error) {
	program, err := e.programs.build(ctx, "go.temporal.io/server/cmd/server", temporalServerVersion)
	if err != nil {
		return nil, err
	}
	if err := makeTemporalSchema(ctx, e); err != nil {
		return nil, err
	}
	ports, err := freePorts(8)
	if err != nil {
		return nil, err
	}
	config := filepath.Join(e.dir, "server.yaml")
	if err := writeTemporalConfig(e, config, ports); err != nil {
		return nil, err
	}
	address := "127.0.0.1:" + ports[0]
	server, err := startDaemon(filepath.Join(e.dir, "log"), address, program, "--allow-no-auth", "--config-file", config, "start")
	if err != nil {
		return nil, err
	}
	if err := makeTemporalNamespace(ctx, address); err != nil {
		server.stop()
		return nil, server.explain(err)
	}
	return server, nil
}

// makeTemporalSchema runs Temporal's schema tool on the database and on a second one for visibility.
func makeTemporalSchema(ctx context.Context, e *surroundings) error {
	tool, err := e.programs.build(ctx, "go.temporal.io/server/cmd/tools/sql", temporalServerVersion)
	if err != nil {
		return err
	}
	u, err := url.Parse(e.directURL)
	if err != nil {
		return err
	}
	password, _ := u.User.Password()
	database := strings.TrimPrefix(u.Path, "/")
	global := []string{"--plugin", "postgres12_pgx", "--endpoint", u.Hostname(), "--port", u.Port(), "--user", u.User.Username(),
		"--password", password, "--database"}
	for _, args := range [][]string{
		{database, "setup-schema", "--version", "0.0"},
		{database, "update-schema", "--schema-name", "postgresql/v12/temporal"},
		{visibilityOf(database), "create-database", "--defaultdb", database},
		{visibilityOf(database), "setup-schema", "--version", "0.0"},
		{visibilityOf(database), "update-schema", "--schema-name", "postgresql/v12/visibility"},
	} {
		cmd := exec.CommandContext(ctx, tool, append(global, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("temporal's schema tool: %v: %w\n%s", args, err, out)
		}
	}
	return nil
}

// visibilityOf names the second database of Temporal's server.
func visibilityOf(database string) string { return database + "_visibility" }

// writeTemporalConfig writes the server's configuration for a database and ports.
func writeTemporalConfig(e *surroundings, path string, ports []string) error {
	u, err := url.Parse(e.url)
	if err != nil {
		return err
	}
	password, _ := u.User.Password()
	database := strings.TrimPrefix(u.Path, "/")
	var dynamic strings.Builder
	for key, value := range temporalDynamicConfig {
		fmt.Fprintf(&dynamic, "%s:\n- value: %s\n", key, value)
	}
	dynamicPath := filepath.Join(e.dir, "dynamic.yaml")
	names := []string{"@database", database, "@visibility", visibilityOf(database), "@postgres", u.Host,
		"@user", u.User.Username(), "@password", password, "@dynamic", dynamicPath}
	for i, port := range ports {
		names = append(names, fmt.Sprint("@port", i), port)
	}
	text := strings.NewReplacer(names...).Replace(temporalServerConfig)
	if err := os.WriteFile(dynamicPath, []byte(dynamic.String()), 0o600); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o600)
}

// makeTemporalNamespace makes the namespace as soon as the server answers.
func makeTemporalNamespace(ctx context.Context, address string) error {
	namespaces, err := client.NewNamespaceClient(client.Options{HostPort: address})
	if err != nil {
		return err
	}
	defer namespaces.Close()
	return retry(ctx, time.Minute, func(ctx context.Context) error {
		return namespaces.Register(ctx, &workflowservice.RegisterNamespaceRequest{
			Namespace: temporalNamespace, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
		})
	})
}

// freePorts finds ports that nobody listens on. Temporal's tables take ports below 32,768 only.
func freePorts(n int) (ports []string, err error) {
	const lowest, count = 20_000, 12_000
	for range 1000 {
		l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", lowest+rand.IntN(count)))
		if err != nil {
			continue // taken
		}
		defer l.Close() // after the last is found, so that all differ
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			return nil, err
		}
		if ports = append(ports, port); len(ports) == n {
			return ports, nil
		}
	}
	return nil, errors.New("no free ports found")
}
