package budget

import "time"

// role is a process of a scene.
type role struct {
	name      string
	functions []registration // none: a mere client
	slots     int            // activities at a time; 0: the default
	pooled    bool           // behind a pooler: nothing is prepared, no notification arrives
	later     time.Duration  // how long after the role before it is started: how far apart they pulse
}

// outline is a shape as it is to be brought about.
type outline struct {
	name, about   string
	budget        int // round trips; 0: none is promised
	extra         bool
	orchestration string
	plan          plan
	// further steps: with it the figures are those of one of so many more activities.
	further int
	// pulsed says that nothing but pulses tells the second process that there is something to do, and the first one, a mere
	// client, that it is done. The pulse that brings the result is part of the cost.
	pulsed bool
}

// scene is a set of processes and the shapes measured on them.
type scene struct {
	name  string
	roles []role // the first one starts instances and waits for them
	// idle has the statements of the idle processes counted too.
	idle   bool
	shapes []outline
}

// Sizes of the shapes.
const (
	fewSteps     = 5
	furtherSteps = 20
	fanOutWidth  = 100
	fewSlots     = 10
	largeResult  = 20_000 // bytes: no notification has room for it
	shortPause   = time.Millisecond
)

// scenes are all there is to be measured.
func scenes() []scene {
	other := role{name: "other", functions: []registration{bystanders}}
	client := role{name: "client"}
	all := []registration{orchestrations, activities(stepName), bystanders}
	hello := plan{Activities: []string{stepName}, Count: 1}
	steps := plan{Activities: []string{stepName}, Count: fewSteps}
	fan := plan{Activities: []string{stepName}, Count: fanOutWidth}
	slowFan, large := fan, hello
	slowFan.Pause = shortPause
	inSession, stepsInSession := hello, steps
	inSession.Session, stepsInSession.Session = true, true
	large.Bytes = largeResult
	return []scene{{
		name: "one process", idle: true,
		roles: []role{{name: "worker", functions: all}, other},
		shapes: []outline{
			{name: "hello", about: "start, one activity, result: all in one process", budget: 2, orchestration: sequenceName, plan: hello},
			{name: "step_local", about: "a further activity, run where the orchestration lives", budget: 1,
				orchestration: sequenceName, plan: steps, further: furtherSteps},
			{name: "fanout100", about: "100 activities at once and their join, 100 free slots", budget: 8, orchestration: fanOutName, plan: fan},
			{name: "fanout100_slow", about: "the same, the activities take 0 to 4 ms and end one after the other", extra: true,
				orchestration: fanOutName, plan: slowFan},
			{name: "session", about: "hello in a session: one more step opens it, none closes it", budget: 3, extra: true,
				orchestration: sequenceName, plan: inSession},
			{name: "session_step", about: "a further activity in a session", budget: 1, extra: true,
				orchestration: sequenceName, plan: stepsInSession, further: furtherSteps},
		},
	}, {
		name:  "client and worker apart",
		roles: []role{client, {name: "worker", functions: all}, other},
		shapes: []outline{
			{name: "hello_apart", about: "start and result in one process, the rest in another", budget: 4, orchestration: sequenceName, plan: hello},
			{name: "hello_apart_large", about: "the same, the result is too large for a notification", budget: 5, extra: true,
				orchestration: sequenceName, plan: large},
		},
	}, {
		name: "client and worker apart, behind a pooler",
		roles: []role{{name: "client", pooled: true}, {name: "worker", functions: all, pooled: true, later: pulseInterval / 3},
			{name: "other", functions: other.functions, pooled: true}},
		shapes: []outline{
			{name: "hello_apart_pooler", about: "hello_apart without notifications: a pulse brings the result", budget: 5, extra: true,
				orchestration: sequenceName, plan: hello, pulsed: true},
		},
	}, {
		name: "two workers, each with an activity the other has not",
		roles: []role{{name: "here", functions: []registration{orchestrations, activities(hereName), bystanders}},
			{name: "there", functions: []registration{orchestrations, activities(thereName), bystanders}}, other},
		shapes: []outline{
			{name: "step_moved", about: "a further activity, the instance moves to the process that runs it", budget: 2,
				orchestration: sequenceName, plan: plan{Activities: []string{thereName, hereName}, Count: fewSteps}, further: furtherSteps},
		},
	}, {
		name: "turns in one process, activities in another",
		roles: []role{{name: "turns", functions: []registration{orchestrations, bystanders}},
			{name: "activities", functions: []registration{activities(stepName), bystanders}}, other},
		shapes: []outline{
			{name: "step_split", about: "a further activity, one process only runs turns, another only activities", budget: 4,
				orchestration: sequenceName, plan: steps, further: furtherSteps},
		},
	}, {
		name:  "one process with ten slots",
		roles: []role{{name: "worker", functions: all, slots: fewSlots}, other},
		shapes: []outline{
			{name: "fanout100_slots10", about: "100 activities at once and their join, 10 free slots", budget: 14, extra: true,
				orchestration: fanOutName, plan: fan},
			{name: "fanout100_slots10_slow", about: "the same, the activities take 0 to 4 ms and end one after the other", extra: true,
				orchestration: fanOutName, plan: slowFan},
		},
	}}
}
