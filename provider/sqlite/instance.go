package sqlite

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/pawlrun/pawl/provider"
)

// instance is a row of that table as the calls work on it.
type instance struct {
	row         int64
	instanceID  string
	class       provider.ClassID
	status      provider.InstanceStatus
	execution   int32
	executionID provider.ExecutionID
	startedAs   provider.ExecutionID // of the first execution
	nextSeq     int32
	owner       provider.WorkerID // zero: free
	lastOwner   provider.WorkerID
	token       provider.Token
	attempt     int32
	due         int64    // zero: nothing to look at
	waits       []string // names of the awaited external events
	watch       bool
	parked      bool
	endedAt     int64
}

const (
	instanceColumns = `SELECT id, instance_id, class, status, execution, execution_id, started_as, next_seq,
	coalesce(owner, 0), coalesce(last_owner, 0), token, attempt, coalesce(due, 0), waits, watch, parked IS NOT NULL FROM instance `
	selectInstance     = instanceColumns + `WHERE id = ?`
	selectInstanceByID = instanceColumns + `WHERE instance_id = ?`
)

// instanceAt loads an instance by its row number, nil if there is none.
func (t *tx) instanceAt(row int64) *instance { return t.loadInstance(selectInstance, row) }

// instanceNamed loads an instance by its id, nil if there is none.
func (t *tx) instanceNamed(id string) *instance { return t.loadInstance(selectInstanceByID, id) }

// ifRunning does something with the instance of an id if it runs, and answers for it.
func (t *tx) ifRunning(id string, do func(*instance)) provider.ItemStatus {
	i := t.instanceNamed(id)
	switch {
	case i == nil:
		return provider.NotFound
	case !i.running():
		return provider.Gone
	}
	do(i)
	return provider.Applied
}

func (t *tx) loadInstance(query string, key any) *instance {
	i := new(instance)
	var executionID, startedAs []byte
	var waits sql.NullString
	if !t.first(query, args{key}, &i.row, &i.instanceID, &i.class, &i.status, &i.execution, &executionID, &startedAs, &i.nextSeq,
		&i.owner, &i.lastOwner, &i.token, &i.attempt, &i.due, &waits, &i.watch, &i.parked) {
		return nil
	}
	copy(i.executionID[:], executionID)
	copy(i.startedAs[:], startedAs)
	if waits.Valid {
		if err := json.Unmarshal([]byte(waits.String), &i.waits); err != nil {
			t.fail(fmt.Errorf("instance %s: the names it waits for: %w", i.instanceID, err))
			return nil
		}
	}
	return i
}

// waitsText is the stored form of the names.
func waitsText(names []string) any {
	if len(names) == 0 {
		return nil
	}
	doc, err := json.Marshal(names)
	if err != nil {
		return nil // cannot happen: a list of strings
	}
	return string(doc)
}

func (i *instance) ref() provider.Ref { return provider.Ref{Row: i.row} }

func (i *instance) running() bool { return i.status == provider.StatusRunning }

// free reports whether the instance can be granted.
func (i *instance) free() bool { return i.owner == 0 && i.running() && !i.parked }

// heldBy reports whether a worker holds the instance under a token.
func (i *instance) heldBy(worker provider.WorkerID, token provider.Token) bool {
	return worker != 0 && i.owner == worker && i.token == token && i.running()
}

// neverRun reports whether only the start of the current execution is recorded.
func (i *instance) neverRun() bool { return i.nextSeq == 1 }

// takes reports whether a message is of use now: external events are only if their name is waited for.
func (i *instance) takes(kind provider.MessageKind, name string) bool {
	return kind != provider.MessageExternalEvent || slices.Contains(i.waits, name)
}

const (
	grantInstance = `UPDATE instance SET owner = ?2, token = ?3, attempt = attempt + 1, due = NULL WHERE id = ?1`
	makeDue       = `UPDATE instance SET due = ?2 WHERE id = ?1`
	clearDue      = `UPDATE instance SET due = NULL WHERE id = ?1`
)

// grant leases a free instance to a worker.
func (t *tx) grant(i *instance, worker provider.WorkerID, token provider.Token) {
	t.exec(grantInstance, i.row, worker, token)
	i.owner, i.token, i.due = worker, token, 0
	i.attempt++
}

// hint marks a running instance to be looked at from a time on, by a fetch of its owner or, if it is free, of any
// worker of its class. A parked one is left alone: its resumption looks at it.
func (t *tx) hint(i *instance, due int64) {
	if i.parked || !i.running() {
		return
	}
	if i.due == 0 || i.due > due {
		t.exec(makeDue, i.row, due)
		i.due = due
	}
	if i.owner != 0 {
		t.effects.held = append(t.effects.held, i.owner)
	} else {
		t.effects.ready = true
	}
}

// unhint takes the mark away.
func (t *tx) unhint(i *instance) {
	if i.due != 0 {
		t.exec(clearDue, i.row)
		i.due = 0
	}
}

// omitHistory as the first event of the history to be sent means none.
const omitHistory int32 = -1

// historyFor says from where a worker that is granted an instance needs its history: the owner of the last turn has it.
func historyFor(i *instance, worker provider.WorkerID) int32 {
	if i.lastOwner == worker {
		return omitHistory
	}
	return 0
}

// item describes an instance to the worker that holds it.
func (t *tx) item(i *instance, historyFrom int32, messages []provider.Message) provider.OrchestrationItem {
	item := provider.OrchestrationItem{
		Ref:         i.ref(),
		InstanceID:  i.instanceID,
		Execution:   i.execution,
		ExecutionID: i.executionID,
		Class:       i.class,
		NextSeq:     i.nextSeq,
		Token:       i.token,
		Attempt:     i.attempt,
		Messages:    messages,
	}
	if historyFrom == omitHistory {
		item.HistoryOmitted = true
	} else {
		item.History = t.history(i, historyFrom)
	}
	return item
}

const selectTurns = `SELECT seq, count, events FROM history WHERE iid = ? AND execution = ? AND seq >= ? ORDER BY seq`

// history reads the turns of the current execution from an event number on.
func (t *tx) history(i *instance, from int32) []provider.Turn {
	var turns []provider.Turn
	t.each(selectTurns, args{i.row, i.execution, from}, func(rows *sql.Rows) error {
		var turn provider.Turn
		err := rows.Scan(&turn.Seq, &turn.Count, &turn.Events)
		turns = append(turns, turn)
		return err
	})
	return turns
}

const (
	insertTurn = `INSERT INTO history (iid, execution, seq, count, token, events) VALUES (?, ?, ?, ?, ?, ?)`
	turnWriter = `SELECT token FROM history WHERE iid = ? AND execution = ? AND seq = ?`
)

func (t *tx) addTurn(row int64, execution, seq, count int32, writer provider.Token, events []byte) {
	t.exec(insertTurn, row, execution, seq, count, writer, string(events))
}

// wrote reports whether a request committed the turn that begins at an event number.
func (t *tx) wrote(request provider.Token, row int64, execution, seq int32) bool {
	var writer provider.Token
	return t.first(turnWriter, args{row, execution, seq}, &writer) && writer == request
}
