package engine

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/provider"
)

// ErrBadToken is returned for a text that is no token of an activity.
var ErrBadToken = errors.New("not the token of an activity")

// IdempotencyKey is the same in every attempt and no other activity's. The row tells the instance from others that have had
// its id.
func (i ActivityInfo) IdempotencyKey() string {
	return idempotencyKey(i.InstanceID, i.run.key)
}

func idempotencyKey(instanceID string, key provider.WorkKey) string {
	return fmt.Sprintf("%s/%d/%d/%d", instanceID, key.Row, key.Execution, key.Event)
}

// Token returns the token by which a result can be given from outside: it names the work item and proves its lease.
func (i ActivityInfo) Token() string {
	i.run.progress.mu.Lock()
	i.run.progress.taken = true
	i.run.progress.mu.Unlock()
	return encodeToken(i.run.key, i.run.token)
}

// Pending says that the activity returns without a result, which will come from outside. It reports false if nobody can
// give it: the token was never asked for.
func (i ActivityInfo) Pending() bool {
	i.run.progress.mu.Lock()
	defer i.run.progress.mu.Unlock()
	i.run.progress.pending = i.run.progress.taken
	return i.run.progress.taken
}

func (run *activityRun) pending() bool {
	run.progress.mu.Lock()
	defer run.progress.mu.Unlock()
	return run.progress.pending
}

// tokenBytes is the length of a token before it becomes text: partition, row, execution, event, lease and checksum.
const tokenBytes = 2 + 8 + 4 + 4 + 8 + 4

func encodeToken(key provider.WorkKey, token provider.Token) string {
	b := make([]byte, 0, tokenBytes)
	b = binary.BigEndian.AppendUint16(b, uint16(key.Part))
	b = binary.BigEndian.AppendUint64(b, uint64(key.Row))
	b = binary.BigEndian.AppendUint32(b, uint32(key.Execution))
	b = binary.BigEndian.AppendUint32(b, uint32(key.Event))
	b = binary.BigEndian.AppendUint64(b, uint64(token))
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return base64.RawURLEncoding.EncodeToString(b)
}

func decodeToken(text string) (key provider.WorkKey, token provider.Token, err error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != tokenBytes || crc32.ChecksumIEEE(b[:tokenBytes-4]) != binary.BigEndian.Uint32(b[tokenBytes-4:]) {
		return key, 0, ErrBadToken
	}
	key.Part = int16(binary.BigEndian.Uint16(b))
	key.Row = int64(binary.BigEndian.Uint64(b[2:]))
	key.Execution = int32(binary.BigEndian.Uint32(b[10:]))
	key.Event = int32(binary.BigEndian.Uint32(b[14:]))
	return key, provider.Token(binary.BigEndian.Uint64(b[18:])), nil
}

// CompleteActivity records a result from outside: failure nil means success. The status is Applied, or Gone when nobody
// waits for it under this token any more. If the answer to a try was lost, Gone counts as Applied unless the history says
// otherwise: that try may have been what recorded it.
func (e *Engine) CompleteActivity(ctx context.Context, token string, result history.Payload, failure *history.Failure) (provider.ItemStatus, error) {
	key, lease, err := decodeToken(token)
	if err != nil {
		return 0, err
	}
	var ev history.Event = &history.ActivityCompleted{Scheduled: key.Event, Result: result}
	if failure != nil {
		ev = &history.ActivityFailed{Scheduled: key.Event, Failure: *failure}
	}
	body, err := history.Append(nil, ev)
	if err != nil {
		return 0, err
	}
	// As a client, even if this process is a worker: whoever has the instance goes on with it.
	req := &provider.AckWorkRequest{Items: []provider.AckWorkItem{{WorkKey: key, Token: lease, Request: provider.NewToken(), Body: body}}}
	var reply *provider.AckReply
	tries := 0
	err = e.call(ctx, func(ctx context.Context) (err error) {
		tries++
		reply, err = e.store.AckWorkItems(ctx, req)
		return err
	})
	if err != nil {
		return 0, err
	}
	if s := e.current(); s != nil {
		s.orch.kick()
	}
	status := reply.Results[0].Status
	if status == provider.Gone && tries > 1 && !e.answeredOtherwise(ctx, key, body) {
		status = provider.Applied
	}
	return status, nil
}

// answeredOtherwise reports whether the history has another answer to an activity than the given one.
func (e *Engine) answeredOtherwise(ctx context.Context, key provider.WorkKey, body []byte) bool {
	for ev, err := range e.events(ctx, provider.HistoryQuery{Ref: key.Ref, Execution: key.Execution}) {
		if err != nil {
			return false
		}
		if answers(ev, key.Event) {
			recorded, err := history.Append(nil, ev)
			return err == nil && !bytes.Equal(recorded, body)
		}
	}
	return false
}

// answers reports whether an event is the answer to an activity.
func answers(ev history.Event, scheduled int32) bool {
	switch ev := ev.(type) {
	case *history.ActivityCompleted:
		return ev.Scheduled == scheduled
	case *history.ActivityFailed:
		return ev.Scheduled == scheduled
	case *history.Cancelled:
		return ev.Scheduled == scheduled
	}
	return false
}
