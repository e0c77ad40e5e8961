package pawl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/pawlrun/pawl/history"
)

const (
	errDeclined = ErrorKind("card-declined")
	errExpired  = ErrorKind("card-expired")
)

// sentinels are all values that must be recognised on the other side of a border.
func sentinels() []error {
	all := []error{errDeclined, errExpired}
	for _, known := range wellKnown {
		all = append(all, known.err)
	}
	return all
}

// cross takes an error over a border: recorded, stored, read and restored.
func cross(t testing.TB, err error) *Failure {
	t.Helper()
	recorded := recordFailure(err)
	doc, encodeErr := history.Append(nil, &history.ExecutionFailed{Failure: recorded})
	if encodeErr != nil {
		t.Fatalf("%v: %v", recorded, encodeErr)
	}
	read, decodeErr := history.Decode(doc)
	if decodeErr != nil {
		t.Fatal(decodeErr)
	}
	stored := &read.(*history.ExecutionFailed).Failure
	if !reflect.DeepEqual(stored, &recorded) { // else a replay would see another error than the first run
		t.Fatalf("recorded %+v, stored as %+v", recorded, *stored)
	}
	checkFailure(t, stored)
	restored := restoreFailure(stored)
	if again := recordFailure(restored); !reflect.DeepEqual(again, recorded) {
		t.Fatalf("recorded %+v, and when passed on %+v", recorded, again)
	}
	return restored
}

// checkFailure checks that stores take all text of a failure, and that it is within the limits.
func checkFailure(t testing.TB, f *history.Failure) {
	t.Helper()
	levels := 0
	for level := range f.All() {
		levels++
		for _, text := range []string{string(level.Kind), level.Code, level.Message, level.Type, level.Source, level.InstanceID, level.Timeout, level.Stack} {
			if !utf8.ValidString(text) || strings.ContainsRune(text, 0) || len(text) > history.MaxText {
				t.Fatalf("%d bytes recorded as text: %.200q", len(text), text)
			}
		}
		if len(level.Causes) > maxFailureCauses || len(level.Causes) == 1 || level.Cause != nil && level.Causes != nil {
			t.Fatalf("one cause %v, and %d", level.Cause, len(level.Causes))
		}
	}
	if levels > maxFailureLevels {
		t.Fatalf("%d levels recorded", levels)
	}
}

type isDeclined struct{}

func (isDeclined) Error() string        { return "declined in its own way" }
func (isDeclined) Is(target error) bool { return target == ErrNotFound }

type uncomparable []error

func (uncomparable) Error() string { return "uncomparable" }

func TestErrorsMatchAcrossABorder(t *testing.T) {
	rich := &Error{Kind: errDeclined, Message: "no", Details: []int{1, 2}, NonRetryable: true, NextDelay: time.Minute, Cause: textError("disk")}
	for name, test := range map[string]struct {
		err  error
		want []error
	}{
		"kind":                  {errDeclined, []error{errDeclined}},
		"wrapped kind":          {fmt.Errorf("charge: %w", fmt.Errorf("bank: %w", errDeclined)), []error{errDeclined}},
		"two kinds":             {fmt.Errorf("%w and %w", errDeclined, errExpired), []error{errDeclined, errExpired}},
		"joined":                {errors.Join(errDeclined, nil, fmt.Errorf("late: %w", context.DeadlineExceeded)), []error{errDeclined, context.DeadlineExceeded}},
		"rich":                  {rich, []error{errDeclined}},
		"rich cause":            {&Error{Message: "outer", Cause: rich}, []error{errDeclined}},
		"context":               {context.Canceled, []error{context.Canceled}},
		"context deadline":      {fmt.Errorf("call: %w", context.DeadlineExceeded), []error{context.DeadlineExceeded}},
		"url":                   {&url.Error{Op: "Get", URL: "x", Err: context.Canceled}, []error{context.Canceled}},
		"net":                   {&net.OpError{Op: "dial", Err: isDeclined{}}, []error{ErrNotFound}},
		"own Is":                {isDeclined{}, []error{ErrNotFound}},
		"uncomparable":          {fmt.Errorf("%w, %w", uncomparable{nil}, errExpired), []error{errExpired}},
		"cancelled":             {ErrCancelled, []error{ErrCancelled, context.Canceled}},
		"cancelled with reason": {fmt.Errorf("stop: %w", &CancelledError{Reason: "tired"}), []error{ErrCancelled, context.Canceled}},
		"terminated":            {ErrTerminated, []error{ErrTerminated}},
		"timeout":               {ErrTimeout, []error{ErrTimeout}},
		"which timeout":         {&TimeoutError{Type: TimeoutHeartbeat}, []error{ErrTimeout}},
		"client":                {&InstanceError{InstanceID: "i", Err: ErrAlreadyExists}, []error{ErrAlreadyExists}},
		"payload":               {&payloadError{"encode x", errors.New("no")}, []error{ErrBadPayload}},
		"misuse":                {ErrForeignGoroutine, []error{ErrForeignGoroutine, ErrMisuse}},
		"sentinel of a panic":   {ErrPanic, []error{ErrPanic}},
		"advised":               {NonRetryable(RetryAfter(errDeclined, time.Hour)), []error{errDeclined}},
		"activity":              {&ActivityError{Activity: "a", Err: rich}, []error{errDeclined}},
		"none":                  {fs.ErrNotExist, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := cross(t, test.err)
			for _, s := range sentinels() {
				if want := slices.Contains(test.want, s); errors.Is(f, s) != want {
					t.Errorf("matches %q: %v", s, !want)
				}
			}
			if f.Error() != test.err.Error() {
				t.Errorf("text %q, was %q", f, test.err)
			}
		})
	}
}

type textError string

func (e textError) Error() string { return string(e) }

// TestTypesAreFoundAcrossABorder: errors.As makes the errors of this package anew.
func TestTypesAreFoundAcrossABorder(t *testing.T) {
	original := &OrchestrationError{Orchestration: "O", InstanceID: "o-1", Err: fmt.Errorf("child: %w", &ActivityError{Activity: "A", Err: &Error{
		Kind: errDeclined, Message: "card ends in 42", Details: map[string]int{"code": 51}, NonRetryable: true, NextDelay: time.Minute,
		Cause: fmt.Errorf("%w, %w, %w", &TimeoutError{Type: TimeoutStartToClose}, &CancelledError{Reason: "tired"}, &InstanceError{InstanceID: "i", Err: ErrNotRunning})}})}
	f := cross(t, original)
	var oe *OrchestrationError
	var ae *ActivityError
	var e *Error
	var timeout *TimeoutError
	var cancelled *CancelledError
	var ie *InstanceError
	var kind ErrorKind
	for _, target := range []any{&oe, &ae, &e, &timeout, &cancelled, &ie, &kind} {
		if !errors.As(f, target) {
			t.Fatalf("no %T in %v", target, f)
		}
	}
	if oe.Orchestration != "O" || oe.InstanceID != "o-1" || oe.Error() != original.Error() || ae.Activity != "A" || kind != errDeclined {
		t.Errorf("got %v, %v, kind %q", oe, ae, kind)
	}
	if e.Kind != errDeclined || e.Message != "card ends in 42" || !e.NonRetryable || e.NextDelay != time.Minute || string(e.Details.(json.RawMessage)) != `{"code":51}` {
		t.Errorf("got %+v", e)
	}
	if timeout.Type != TimeoutStartToClose || cancelled.Reason != "tired" || ie.InstanceID != "i" || !errors.Is(ie, ErrNotRunning) {
		t.Errorf("got %+v, %+v, %+v", timeout, cancelled, ie)
	}
	if e.Error() != ae.Err.Error() { // what was made anew can be returned anew
		t.Errorf("text %q, was %q", e, ae.Err)
	}
	for _, oe := range []*OrchestrationError{{"O", "", e}, {"", "i", e}, {"O", "i", e}} {
		if again := cross(t, oe); again.Error() != oe.Error() || !strings.Contains(oe.Error(), e.Error()) {
			t.Errorf("text %q, was %q", again, oe)
		}
	}
	if again := cross(t, e); !errors.Is(again, errDeclined) || again.Error() != e.Error() {
		t.Errorf("passed on: %v", again)
	}
	var none *TimeoutError
	if errors.As(cross(t, errDeclined), &none) || errors.As(cross(t, context.Canceled), &kind) {
		t.Error("found what is not there")
	}
}

// TestKindsOfTheEngineMatch: what the engine records without an error of user code has its sentinel and a text.
func TestKindsOfTheEngineMatch(t *testing.T) {
	for kind, test := range map[history.FailureKind]struct {
		want error
		text string
	}{
		history.FailureError: {nil, "m"}, history.FailurePanic: {ErrPanic, "panic: m"}, history.FailureGoexit: {ErrGoexit, "m"},
		history.FailureExists: {ErrAlreadyExists, "m"}, history.FailureQuarantined: {ErrQuarantined, "m"},
		history.FailureBadPayload: {ErrBadPayload, "m"}, history.FailureMisuse: {ErrMisuse, "m"}, history.FailureTimeout: {ErrTimeout, "m"},
		history.FailureLimit:     {ErrLimit, "m"},
		history.FailureCancelled: {ErrCancelled, "cancelled: m"}, history.FailureTerminated: {ErrTerminated, "terminated: m"},
	} {
		f := restoreFailure(&history.Failure{Kind: kind, Message: "m"})
		for _, s := range sentinels() {
			if want := s == test.want || s == context.Canceled && test.want == ErrCancelled; errors.Is(f, s) != want {
				t.Errorf("%s matches %q: %v", kind, s, !want)
			}
		}
		if f.Error() != test.text {
			t.Errorf("%s: text %q, want %q", kind, f, test.text)
		}
	}
}

// TestErrorIsMadeAnewAsItWas: an Error found on the other side has the same text and message, whatever it was made of.
func TestErrorIsMadeAnewAsItWas(t *testing.T) {
	for _, original := range []*Error{{}, {Kind: errDeclined}, {Message: "m"}, {Cause: errExpired}, {Message: "m", Cause: errExpired},
		{Kind: errDeclined, Cause: errors.Join(errExpired, context.Canceled)}} {
		var e *Error
		if f := cross(t, original); !errors.As(f, &e) || e.Error() != original.Error() || f.Error() != original.Error() || e.Kind != original.Kind {
			t.Errorf("%+v became %+v", original, e)
		}
		if original.Message != "" && e.Message != original.Message {
			t.Errorf("message %q, was %q", e.Message, original.Message)
		}
	}
}

// TestEverySentinelIsWellKnown: an error of this package that errors.Is can match crosses borders.
func TestEverySentinelIsWellKnown(t *testing.T) {
	files, err := fs.Glob(os.DirFS("."), "*.go")
	if err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile("failure_record.go")
	if err != nil {
		t.Fatal(err)
	}
	declaration := regexp.MustCompile(`(?m)^(?:var|\t)\s*(Err[A-Z]\w*)\s*=`)
	found := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		for _, sentinel := range declaration.FindAllSubmatch(text, -1) {
			if found++; !bytes.Contains(table, []byte("\t{"+string(sentinel[1])+", ")) {
				t.Errorf("%s is not in the table wellKnown", sentinel[1])
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d sentinels found", found)
	}
}

type cyclic struct{ next error }

func (*cyclic) Error() string   { return "cyclic" }
func (e *cyclic) Unwrap() error { return e.next }

type bushy struct{}

func (bushy) Error() string { return "bushy" }
func (bushy) Unwrap() []error {
	all := make([]error, 100)
	for i := range all {
		all[i] = bushy{}
	}
	return all
}

type rude struct{ in string }

func (e rude) Error() string {
	if e.in == "Error" {
		panic("rude")
	}
	return "polite"
}

func (e rude) Unwrap() error {
	if e.in == "Unwrap" {
		panic("rude")
	}
	return nil
}

func (e rude) Is(error) bool {
	if e.in == "Is" {
		panic("rude")
	}
	return false
}

func (e rude) MarshalJSON() ([]byte, error) { panic("rude") }

// TestBrokenErrorsAreRecorded: no error of user code, however broken, breaks the engine; what is left out is said.
func TestBrokenErrorsAreRecorded(t *testing.T) {
	loop := &cyclic{}
	loop.next = loop
	var typedNil *Error
	for name, test := range map[string]struct {
		err  error
		want string // in the text or that of a cause
		is   error
	}{
		"typed nil":          {typedNil, "nil *pawl.Error as an error", ErrPanic},
		"nil failure":        {(*Failure)(nil), "nil *pawl.Failure as an error", ErrPanic},
		"nil of wrapped":     {fmt.Errorf("x: %w", (*cyclic)(nil)), "x: cyclic", nil},
		"error panics":       {rude{"Error"}, "in pawl.rude.Error: rude", ErrPanic},
		"cause panics":       {&Error{Kind: errDeclined, Cause: (*Error)(nil)}, "nil *pawl.Error as an error", errDeclined},
		"unwrap panics":      {rude{"Unwrap"}, "in pawl.rude.Unwrap: rude", nil},
		"is panics":          {rude{"Is"}, "polite", nil},
		"cyclic":             {loop, "causes left out here: 1", nil},
		"bushy":              {bushy{}, "causes left out here: ", nil},
		"huge":               {errors.New(strings.Repeat("ä", 1<<20)), "... (cut, 2097152 bytes in all)", nil},
		"huge wrapped":       {fmt.Errorf("%w", errors.New(strings.Repeat("\xff", 1<<20))), "... (cut, 1048576 bytes in all)", nil},
		"not UTF-8":          {errors.New("a\xffb\x00c"), "a\ufffdb\ufffdc", nil},
		"kind not UTF-8":     {ErrorKind("a\xff"), "a\ufffd", ErrorKind("a\xff")},
		"huge kind":          {ErrorKind(strings.Repeat("k", 1<<20)), "kkk", ErrorKind(strings.Repeat("k", 1<<20))},
		"nils joined":        {fmt.Errorf("%w %w", errDeclined, error(nil)), "card-declined", errDeclined},
		"details a function": {&Error{Message: "m", Kind: errDeclined, Details: func() {}}, "m (details not recorded: encode details: json: unsupported type: func())", errDeclined},
		"details panic":      {&Error{Message: "m", Details: rude{}}, "m (details not recorded: panic: rude)", nil},
		"details infinite":   {&Error{Message: "m", Details: math.Inf(1)}, "details not recorded", nil},
		"huge details":       {&Error{Message: "m", Details: strings.Repeat("x", 1<<20)}, "m (details not recorded: 1048578 bytes, and there is room for 262144)", nil},
		"empty":              {&Error{}, "error", nil},
		"made by hand":       {&Failure{Kind: "\xff", Message: "\x00", Cause: errors.Join(errDeclined)}, "\ufffd", errDeclined},
	} {
		t.Run(name, func(t *testing.T) {
			f := cross(t, test.err)
			found := false
			recorded := recordFailure(test.err)
			for level := range recorded.All() {
				found = found || strings.Contains(level.Message, test.want)
			}
			if !found {
				t.Errorf("no %q in %.2000q", test.want, f.Message)
			}
			if test.is != nil && !errors.Is(f, test.is) {
				t.Errorf("%v does not match %v", f, test.is)
			}
			if name == "error panics" && !strings.Contains(f.Stack, "failure_record_test.go") {
				t.Errorf("stack %q", f.Stack)
			}
		})
	}
}

// TestFailuresAreBounded: what is recorded of the largest error stays within what the limits allow.
func TestFailuresAreBounded(t *testing.T) {
	long := strings.Repeat("x", 8<<10)
	var err error = &Error{Kind: errDeclined, Message: long, Details: strings.Repeat("d", maxFailureDetails-2)}
	for range 2 {
		all := make([]error, 40)
		for i := range all {
			all[i] = &Error{Message: long, Details: strings.Repeat("d", maxFailureDetails-2), Cause: err}
		}
		err = errors.Join(all...)
	}
	recorded := recordFailure(err)
	checkFailure(t, &recorded)
	doc, encodeErr := json.Marshal(recorded)
	if limit := maxFailureRoom + maxFailureLevels*4*maxFailureName; encodeErr != nil || len(doc) > limit {
		t.Fatalf("%d bytes recorded (%v), want at most %d", len(doc), encodeErr, limit)
	}
	if !strings.HasSuffix(recorded.Message, " (causes left out here: 32)") {
		t.Errorf("message ends in %q", recorded.Message[len(recorded.Message)-40:])
	}
	if again := recordFailure(err); !reflect.DeepEqual(again, recorded) {
		t.Error("the same error is recorded in two ways")
	}
}

// TestDeepChainsKeepBothEnds: of a chain that is too deep the middle is left out, for the root cause says most.
func TestDeepChainsKeepBothEnds(t *testing.T) {
	for depth := 1; depth < 60; depth++ {
		err := error(&Error{Kind: errDeclined, Details: depth})
		for i := depth - 1; i > 0; i-- {
			err = fmt.Errorf("level %d: %w", i, err)
		}
		f := cross(t, err)
		recorded := recordFailure(err)
		levels := slices.Collect(recorded.All())
		if want := min(depth, maxFailureDepth); len(levels) != want {
			t.Fatalf("%d levels of %d recorded, want %d", len(levels), depth, want)
		}
		if details, ok := Details[int](f); !ok || details != depth || !errors.Is(f, errDeclined) {
			t.Fatalf("depth %d: the root cause is lost", depth)
		}
		note := fmt.Sprintf(" (causes left out here: %d)", depth-maxFailureDepth)
		if depth > maxFailureDepth != strings.HasSuffix(levels[min(outerLevels, depth)-1].Message, note) {
			t.Fatalf("depth %d: %q does not say what is left out", depth, levels[outerLevels-1].Message)
		}
		for range 20 { // over many borders
			f = cross(t, fmt.Errorf("border: %w", f))
		}
		if details, ok := Details[int](f); !ok || details != depth || !errors.Is(f, errDeclined) {
			t.Fatalf("depth %d: the root cause is lost after many borders", depth)
		}
	}
}

// TestUnchangedErrorKeepsItsChain: what is passed on keeps stack, type, source and details at every level.
func TestUnchangedErrorKeepsItsChain(t *testing.T) {
	panicked := history.PanicFailure("boom", []byte("main.go"))
	panicked.Details = history.Payload{Encoding: "gob", Data: []byte{1, 2}}
	answer := history.Failure{Kind: history.FailureError, Message: "x", Type: "*main.Odd", Causes: []*history.Failure{
		&panicked, {Kind: history.FailureTimeout, Timeout: history.TimeoutHeartbeat, Source: "A", InstanceID: "i"}, nil}}
	passed := recordFailure(&ActivityError{Activity: "A", Err: restoreFailure(&answer)})
	answer.Causes = answer.Causes[:2]
	if passed.Source != "A" || !reflect.DeepEqual(passed.Cause, &answer) {
		t.Errorf("got %+v", passed.Cause)
	}
	if got := restoreFailure(answer.Causes[1]).Error(); got != "heartbeat timeout" {
		t.Errorf("text of a timeout without message: %q", got)
	}
}

func TestAdviceAboutRetries(t *testing.T) {
	if NonRetryable(nil) != nil || RetryAfter(nil, 1) != nil {
		t.Error("nil becomes an error")
	}
	inner := errors.New("busy")
	for name, test := range map[string]struct {
		err       error
		forbidden bool
		delay     time.Duration
		levels    int
	}{
		"none":          {inner, false, 0, 1},
		"non-retryable": {NonRetryable(inner), true, 0, 1},
		"after":         {RetryAfter(inner, time.Minute), false, time.Minute, 1},
		"at once":       {RetryAfter(inner, 0), false, atOnce, 1},
		"both":          {RetryAfter(NonRetryable(inner), time.Minute), true, time.Minute, 1},
		"outermost":     {RetryAfter(fmt.Errorf("x: %w", RetryAfter(inner, time.Hour)), time.Minute), false, time.Minute, 2},
		"within":        {fmt.Errorf("x: %w", NonRetryable(&Error{NextDelay: time.Second})), true, time.Second, 2},
		"in error":      {&Error{NonRetryable: true, NextDelay: -time.Second, Cause: inner}, true, atOnce, 2},
		"joined":        {errors.Join(inner, NonRetryable(inner)), true, 0, 3},
	} {
		recorded := recordFailure(test.err)
		forbidden, delay := recorded.RetryAdvice()
		if forbidden != test.forbidden || delay != test.delay || len(slices.Collect(recorded.All())) != test.levels {
			t.Errorf("%s: forbidden %v, delay %v in %+v", name, forbidden, delay, recorded)
		}
		f := cross(t, test.err)
		again := recordFailure(&ActivityError{Activity: "a", Err: f})
		if forbidden, delay := again.RetryAdvice(); forbidden != test.forbidden || delay != test.delay {
			t.Errorf("%s: passed on: forbidden %v, delay %v", name, forbidden, delay)
		}
	}
	if err := NonRetryable(inner); !errors.Is(err, inner) || err.Error() != "busy" {
		t.Errorf("got %v", err)
	}
}

func TestDetails(t *testing.T) {
	type shortage struct{ Missing int }
	err := fmt.Errorf("order: %w", &Error{Message: "outer", Cause: &Error{Details: shortage{3}, Cause: &Error{Details: "deeper"}}})
	for side, err := range map[string]error{"here": err, "there": cross(t, err), "advised": NonRetryable(err), "found": func() error {
		var e *Error
		errors.As(cross(t, err), &e)
		return e
	}()} {
		if got, ok := Details[shortage](err); !ok || got.Missing != 3 {
			t.Errorf("%s: got %v, %v", side, got, ok)
		}
		if got, ok := Details[map[string]int](err); !ok || got["Missing"] != 3 {
			t.Errorf("%s: got %v, %v", side, got, ok)
		}
		if got, ok := Details[string](err); ok || got != "" {
			t.Errorf("%s: the nearest details are no string, got %q", side, got)
		}
	}
	for name, err := range map[string]error{"nil": nil, "none": errors.New("x"), "none there": cross(t, errors.New("x")), "bad": &Error{Details: func() {}}} {
		if got, ok := Details[shortage](err); ok {
			t.Errorf("%s: got %v", name, got)
		}
	}
	var f *Failure
	var got shortage
	errors.As(errors.Unwrap(errors.Unwrap(cross(t, err))), &f)
	if found, err := f.DecodeDetails(&got); !found || err != nil || got.Missing != 3 {
		t.Errorf("got %v, %v, %v", got, found, err)
	}
	if found, err := f.DecodeDetails(new(string)); !found || !errors.Is(err, ErrBadPayload) {
		t.Errorf("got %v, %v", found, err)
	}
	if found, err := cross(t, errDeclined).DecodeDetails(&got); found || err != nil || got.Missing != 3 {
		t.Errorf("got %v, %v, %v", got, found, err)
	}
	loop := &cyclic{}
	loop.next = loop
	if _, ok := Details[int](loop); ok {
		t.Error("details in a loop")
	}
}

// FuzzFailure builds errors from bytes and takes them over a border: they match there what they matched before.
func FuzzFailure(f *testing.F) {
	f.Add([]byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d"), "text")
	f.Add([]byte("\x01\x01\x01\x09\x02\x0a\x0a\x06\x04\x08\x01\x09"), "a\xff\x00b")
	f.Add([]byte("\x02\x02\x02\x02\x0b\x03\x0c\x0d\x08\x07"), "")
	f.Fuzz(func(t *testing.T, plan []byte, text string) {
		if len(plan) > maxFailureDepth { // each byte makes at most one level
			plan = plan[:maxFailureDepth]
		}
		known := append(sentinels(), ErrorKind("k"+text))
		err := build(&plan, text, known)
		restored := cross(t, err)
		for _, s := range known {
			if errors.Is(err, s) && !errors.Is(restored, s) {
				t.Errorf("%v matched %q, and %+v does not", err, s, recordFailure(err))
			}
		}
		for _, target := range []func() any{
			func() any { return new(*TimeoutError) }, func() any { return new(*CancelledError) }, func() any { return new(*Error) },
			func() any { return new(*ActivityError) }, func() any { return new(*OrchestrationError) }, func() any { return new(ErrorKind) },
		} {
			before, after := target(), target()
			if errors.As(err, before) && !errors.As(restored, after) {
				t.Errorf("%v had a %T, and %+v has none", err, before, recordFailure(err))
			}
		}
	})
}

// build makes an error as the plan says.
func build(plan *[]byte, text string, known []error) error {
	if len(*plan) == 0 {
		return errors.New(text)
	}
	next := int((*plan)[0])
	*plan = (*plan)[1:]
	inner := func() error { return build(plan, text, known) }
	switch next % 16 {
	case 0:
		return fmt.Errorf("%s: %w", text, inner())
	case 1:
		return errors.Join(inner(), inner())
	case 2:
		return fmt.Errorf("%w %w", inner(), inner())
	case 3:
		return NonRetryable(inner())
	case 4:
		return RetryAfter(inner(), time.Duration(next))
	case 5:
		return &Error{Kind: ErrorKind("k" + text), Details: text, Cause: inner()}
	case 6:
		return &ActivityError{Activity: "a", Err: inner()}
	case 7:
		return &OrchestrationError{InstanceID: "a", Err: inner()}
	case 8:
		return &TimeoutError{Type: TimeoutHeartbeat}
	case 9:
		return &CancelledError{Reason: text}
	default:
		return known[next%len(known)]
	}
}
