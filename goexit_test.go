package pawl_test

import "runtime"

// exitGoroutine does what testing.T.FailNow does.
func exitGoroutine() { runtime.Goexit() }
