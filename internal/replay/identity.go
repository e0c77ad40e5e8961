package replay

import (
	"runtime"
	"strings"
)

// onCoroutine reports whether the calling goroutine is a coroutine: whether its stack begins with the coroutine
// function. Go has no identity of goroutines to ask for; reading the number in the header of runtime.Stack costs 10 us,
// this about 1.
//
// The coroutine of another execution passes too. It would have to be handed a context that is not its own and to await
// on it in the very moment that one's turn is running.
func onCoroutine() bool {
	var pcs [32]uintptr
	skip, n := 2, 0
	root := [2]uintptr{} // the two outermost frames seen: the last is runtime.goexit
	for {
		n = runtime.Callers(skip, pcs[:])
		for _, pc := range pcs[max(n-2, 0):n] {
			root[0], root[1] = root[1], pc
		}
		if n < len(pcs) {
			break
		}
		skip += n
	}
	return isCoroutine(root[0])
}

// isCoroutine reports whether a return address lies in the coroutine function.
func isCoroutine(pc uintptr) bool {
	f := runtime.FuncForPC(pc - 1)
	return f != nil && strings.HasSuffix(f.Name(), "/replay.(*Execution).coroutine")
}
