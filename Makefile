# Everything CI does is a target here; "make help" lists them. Nothing is needed but Go (and PostgreSQL's server
# binaries for the tests of that provider; with CI=true they must be there).

GO ?= go
# The race detector needs a C compiler. In CI it must be there; elsewhere the tests run without it and say so.
CC_FOUND := $(shell command -v gcc || command -v clang)
RACE := $(if $(or $(CC_FOUND),$(filter true,$(CI))),-race)

.DEFAULT_GOAL := help
.PHONY: help build vet lint fmt-check check test bench demo clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build the command line into bin/
	$(GO) build -o bin/ ./cmd/...

vet: ## go vet
	$(GO) vet ./...

lint: ## staticcheck, in the version go.mod names
	$(GO) tool staticcheck ./...

fmt-check: ## fail if gofmt would change a file
	@files=$$(find . -name '*.go' -not -path './bin/*' -exec gofmt -l {} +); \
	if [ -n "$$files" ]; then echo "gofmt would change:"; echo "$$files"; exit 1; fi

check: fmt-check vet lint ## all of the above but the build

test: check ## everything CI runs: the checks, then all tests on both providers, the examples and the README's commands
	$(GO) build ./...
	$(if $(RACE),,@echo "no C compiler found: testing without the race detector (install gcc)")
	CGO_ENABLED=$(if $(RACE),1,0) $(GO) test $(RACE) -vet=off -timeout 12m ./...
	@[ -n "$$PAWL_TEST_POSTGRES" ] || command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || \
	echo "no PostgreSQL server binaries found: its tests were skipped (Debian: apt-get install postgresql)"

bench: ## run each benchmark a few times, to see that it works
	$(GO) test -run '^$$' -bench . -benchtime 20x ./...

demo: ## run the demonstration: an orchestration that survives the kill of one of its workers
	$(GO) run ./cmd/pawl demo

clean: ## remove what was built
	rm -rf bin
	$(GO) clean -testcache
