package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/pawlrun/pawl/provider"
)

// setServes is for a pulse that says what its worker serves.
const setServes = `UPDATE worker SET serves = ?2, beat_lasts = ?3 WHERE id = ?1`

// serve takes over what a worker says it serves.
func (t *tx) serve(req *provider.PulseRequest) {
	if req.Serves == nil {
		return
	}
	classes, err := json.Marshal(req.Serves)
	if err != nil {
		t.fail(err) // cannot happen: a list of numbers
		return
	}
	t.exec(setServes, req.Worker, string(classes), max(req.BeatLasts, 0).Microseconds())
}

// statesWithWorkers is statesByID and, for running instances, the number of live workers that serve their class and the
// classes of their queued work that none does.
const statesWithWorkers = `WITH live AS MATERIALIZED (SELECT DISTINCT w.id, s.value AS class FROM worker w, json_each(w.serves) s
   WHERE w.beat_lasts = 0 OR w.beat >= ?2 - w.beat_lasts)
` + stateColumns + turnColumns + `,
  CASE i.status WHEN 0 THEN (SELECT count(*) FROM live l WHERE l.class = i.class) ELSE -1 END,
  CASE i.status WHEN 0 THEN
    (SELECT json_group_array(json_object('Kind', u.kind, 'Name', u.name, 'Version', u.version, 'Tag', u.tag, 'Priority', u.priority)
       ORDER BY u.name, u.version, u.tag, u.priority) FROM
      (SELECT DISTINCT q.kind, q.name, q.version, q.tag, q.priority FROM work w JOIN class q ON q.id = w.class
        WHERE w.iid = i.id AND w.owner IS NULL AND w.due IS NOT NULL AND w.class NOT IN (SELECT l.class FROM live l)
        ORDER BY q.name, q.version, q.tag, q.priority LIMIT ?3) u) END` + fromWithTurn + whereNamed

// readWithWorkers reads instances for somebody who asks why they do not go on.
func (p *Provider) readWithWorkers(ctx context.Context, op string, instanceIDs []string) ([]provider.InstanceState, error) {
	var states []provider.InstanceState
	a := args{namesList(instanceIDs), time.Now().UnixMicro(), provider.MaxUnserved}
	err := p.read(ctx, op, len(instanceIDs), statesWithWorkers, a, func(rows *sql.Rows) error {
		var workers int
		var unserved []byte
		s, err := scanState(rows, &workers, &unserved)
		if err != nil {
			return err
		}
		s.Workers = workers
		if s.Unserved, err = parseUnserved(unserved); err != nil {
			return fmt.Errorf("instance %s: the activities nobody serves: %w", s.InstanceID, err)
		}
		states = append(states, s)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return states, nil
}

// parseUnserved reads a list of classes, nil if there are none.
func parseUnserved(doc []byte) ([]provider.Class, error) {
	if doc == nil {
		return nil, nil
	}
	var classes []provider.Class
	if err := json.Unmarshal(doc, &classes); err != nil || len(classes) == 0 {
		return nil, err
	}
	return classes, nil
}
