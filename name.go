package pawl

import (
	"fmt"
	"reflect"
	"regexp"
	"runtime"
	"strings"
	"unicode/utf8"
)

// maxIDBytes bounds instance ids and the names of orchestrations, activities and events: they are index keys.
const maxIDBytes = 255

// checkName reports what is wrong with an id or a name.
func checkName(what, s string) error {
	switch {
	case s == "":
		return fmt.Errorf("%w: %s is empty", ErrInvalid, what)
	case len(s) > maxIDBytes:
		return fmt.Errorf("%w: %s %.40q... has %d bytes, the limit is %d", ErrInvalid, what, s, len(s), maxIDBytes)
	}
	return checkStorable(what, s)
}

// checkStorable reports what is wrong with a text that a store is to keep.
func checkStorable(what, s string) error {
	switch {
	case !utf8.ValidString(s):
		return fmt.Errorf("%w: %s %q is not valid UTF-8", ErrInvalid, what, s)
	case strings.ContainsRune(s, 0):
		return fmt.Errorf("%w: %s %q contains a NUL character", ErrInvalid, what, s)
	}
	return nil
}

// reservedNames is how the names begin of what the engine itself puts into inboxes, and of its own activities.
const reservedNames = "pawl:"

// checkOwnName is checkName for names that share their space with names of the engine's own: those of external events and of
// activities.
func checkOwnName(what, name string) error {
	if strings.HasPrefix(name, reservedNames) {
		return fmt.Errorf("%w: %s %q begins with %q, which is reserved", ErrInvalid, what, name, reservedNames)
	}
	return checkName(what, name)
}

// unnamed matches what the compiler calls functions that have no name of their own: closures (func1, gowrap2) and
// instantiations of generic functions ([...]).
var unnamed = regexp.MustCompile(`(^|\.)(func|gowrap)\d+(\.|$)|\[`)

var errNilFunction = fmt.Errorf("%w: the function is nil", ErrInvalid)

// codePointer identifies a function's code, 0 for a nil function. Closures of one literal share it.
func codePointer(fn any) uintptr { return reflect.ValueOf(fn).Pointer() }

// functionName returns the default name of a function: its own, with the receiver's type for a method, without package.
// It fails for functions whose compiled name says nothing lasting.
func functionName(fn any) (string, error) {
	pc := codePointer(fn)
	if pc == 0 {
		return "", errNilFunction
	}
	full := runtime.FuncForPC(pc).Name()
	name := full[strings.LastIndexByte(full, '/')+1:]
	if i := strings.IndexByte(name, '.'); i >= 0 {
		name = name[i+1:]
	}
	if unnamed.MatchString(name) {
		return "", fmt.Errorf("%w: %s is a closure or an instance of a generic function, whose compiled name does not last: give it one with pawl.Name", ErrInvalid, full)
	}
	name = strings.TrimSuffix(name, "-fm")
	return strings.NewReplacer("(*", "", "(", "", ")", "").Replace(name), nil
}
