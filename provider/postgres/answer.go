package postgres

import (
	"bytes"
	"errors"

	"github.com/pawlrun/pawl/provider"
)

// answer gathers the rows of a call into a reply.
type answer struct {
	reply *provider.AckReply
	order []int // the caller's number of each item sent
	// Where messages and turns of an instance belong: a granted item, or else the results of the call.
	granted map[provider.Ref]int
	results map[provider.Ref]int
	looks   looks
}

func newAnswer(reply *provider.AckReply, order []int) *answer {
	return &answer{reply: reply, order: order}
}

// read takes one row.
func (a *answer) read(r *row) error {
	if mine, err := a.looks.read(r); mine {
		return err
	}
	switch r.kind {
	case rowSummary:
		a.reply.Now = r.at
		eachElement(r.statuses, func(k int, elem []byte) {
			if k < len(a.order) {
				a.reply.Results[a.order[k]].Status = provider.ItemStatus(getInt2(elem))
			}
		})
		eachElement(r.refs, func(k int, elem []byte) {
			if k < len(a.order) && elem != nil {
				a.reply.Results[a.order[k]].Ref.Row = getInt8(elem)
			}
		})
	case rowGranted:
		if a.granted == nil {
			a.granted = make(map[provider.Ref]int)
		}
		item, err := grantedItem(r)
		if err != nil {
			return err
		}
		a.granted[r.ref()] = len(a.reply.Granted)
		a.reply.Granted = append(a.reply.Granted, item)
	case rowTurn:
		if i, ok := a.granted[r.ref()]; ok {
			item := &a.reply.Granted[i]
			item.History = append(item.History, turn(r))
		}
	case rowMessage:
		a.message(r)
	case rowWork:
		a.reply.Work = append(a.reply.Work, workItem(r))
	default:
		return errors.New("the answer has a row of an unknown kind: is the schema newer than this program?")
	}
	return nil
}

func (a *answer) message(r *row) {
	m := message(r)
	if i, ok := a.granted[r.ref()]; ok {
		item := &a.reply.Granted[i]
		item.Messages = append(item.Messages, m)
		return
	}
	if a.results == nil {
		a.results = make(map[provider.Ref]int, len(a.order))
		for i := range a.reply.Results {
			if a.reply.Results[i].Status == provider.Applied {
				a.results[a.reply.Results[i].Ref] = i
			}
		}
	}
	if i, ok := a.results[r.ref()]; ok {
		a.reply.Results[i].Messages = append(a.reply.Results[i].Messages, m)
	}
}

// finish completes the reply after the last row.
func (a *answer) finish() {
	for i := range a.reply.Results {
		if a.reply.Results[i].Ref.Row == 0 {
			a.reply.Results[i].Ref = provider.Ref{}
		}
	}
}

func grantedItem(r *row) (provider.OrchestrationItem, error) {
	execution, err := parseUUID(r.id)
	return provider.OrchestrationItem{
		Ref: r.ref(), InstanceID: string(r.name), Execution: r.n1, ExecutionID: execution, NextSeq: r.n2,
		Class: provider.ClassID(r.n3), Attempt: r.n4, Token: provider.Token(r.num),
		Held: r.flags&1 != 0, HistoryOmitted: r.flags&2 != 0,
	}, err
}

func turn(r *row) provider.Turn {
	return provider.Turn{Seq: r.n1, Count: r.n2, Events: r.document()}
}

func message(r *row) provider.Message {
	return provider.Message{
		Order: r.num, Kind: provider.MessageKind(r.n1), Execution: r.n2, Event: r.n3,
		Name: givenName(string(r.name)), ID: string(r.id), Body: r.document(), At: r.at,
	}
}

func workItem(r *row) provider.WorkItem {
	return provider.WorkItem{
		WorkKey: provider.WorkKey{Ref: r.ref(), Execution: r.n1, Event: r.n2}, InstanceID: string(r.name),
		Class: provider.ClassID(r.n3), Attempt: r.n4, Token: provider.Token(r.num), Input: r.document(),
		State: bytes.Clone(r.id),
	}
}

// parseUUID reads the text form of a UUID, with hyphens.
func parseUUID(text []byte) (provider.ExecutionID, error) {
	digits := make([]byte, 0, 32)
	for _, b := range text {
		if b != '-' {
			digits = append(digits, b)
		}
	}
	return provider.ParseExecutionID(string(digits))
}
