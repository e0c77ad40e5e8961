package providertest_test

import (
	"testing"

	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/providertest"
	"github.com/pawlrun/pawl/provider/providertest/model"
)

// modelHarness makes stores of the model with some defects.
func modelHarness(defects ...model.Defect) providertest.Harness {
	return providertest.Harness{NewStore: func(providertest.T) providertest.Opener {
		s := model.New(model.Options{Defects: defects})
		return func(providertest.T) provider.Provider { return s.Open() }
	}}
}

func TestModelConforms(t *testing.T) { providertest.Run(t, modelHarness()) }
