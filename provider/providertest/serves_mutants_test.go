package providertest_test

import "github.com/pawlrun/pawl/provider/providertest/model"

// servesMutants go wrong in who serves what.
var servesMutants = []mutant{
	broken(model.ServesAccumulate, "serves/replaced", "L13"),
	broken(model.ServesForgotten, "serves/replaced", "L13"),
	broken(model.EmptyServesIgnored, "serves/replaced", "L13"),
	broken(model.BeatLastsIgnored, "serves/silent", "L14"),
	broken(model.DeadServe, "serves/gone", "L14", "serves/unserved", "L15"),
	broken(model.WorkersAlwaysLookedUp, "serves/where-looked-up", "L14"),
	broken(model.UnservedCountsLeased, "serves/unserved-queued", "L15"),
	broken(model.UnservedOmitsDelayed, "serves/unserved-queued", "L15"),
	broken(model.UnservedRepeats, "serves/unserved", "L15"),
	broken(model.UnservedUnbounded, "serves/unserved-bounded", "L15"),
}
