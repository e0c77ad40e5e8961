package cli_test

import (
	"testing"

	"github.com/pawlrun/pawl/internal/pgtest"
)

func TestOrigin(t *testing.T) {
	runScript(t, "testdata/bench/origin.txt", pgtest.URL(t))
}
