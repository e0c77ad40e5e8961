package providertest

import (
	"fmt"
	"slices"
	"time"

	"github.com/pawlrun/pawl/provider"
)

var terminateRaceCases = []Case{
	{"terminate/races-end", []string{"D7"}, terminateRace},
	{"terminate/races-all-others", []string{"D7", "D3"}, terminateRacesOthers},
	{"terminate/races-family", []string{"D7"}, terminateFamilyRace},
}

// terminateRace has an instance terminated by two while its holder completes it.
func terminateRace(f *fixture) {
	const rounds = 25
	w := f.worker()
	handles := []provider.Provider{f.p, f.handle(), f.handle()}
	for round := range rounds {
		id := f.fresh("a")
		l := f.granted(w, id)
		item := l.item(f.turn(1, func(c *provider.Commit) { c.Status = provider.StatusCompleted }))
		ts := []provider.Termination{f.termination(id), f.termination(id)}
		var applied [3]bool
		errs := together(3, func(i int) error {
			if i < len(ts) {
				st, err := handles[i].TerminateInstances(f.ctx, ts[i:i+1])
				applied[i] = err == nil && st[0] == provider.Applied
				return err
			}
			r, err := handles[i].AckOrchestrationItems(f.ctx, &provider.AckRequest{Worker: w, Items: []provider.AckItem{item}})
			applied[i] = err == nil && r.Results[0].Status == provider.Applied
			return err
		})
		f.check("D7", len(errs) == 0, "round %d: %v", round, errs)
		st := f.state(id)
		outcomes := []string{string(ts[0].Events), string(ts[1].Events), string(item.Events)}
		winner := slices.Index(outcomes, string(st.LastTurn.Events))
		for i := range applied {
			equal(f, "D7", fmt.Sprintf("round %d: the end of %d applied (the last turn is of %d)", round, i, winner), applied[i], i == winner)
		}
		equal(f, "D7", "terminated", st.Status == provider.StatusTerminated, winner < 2)
		equal(f, "D7", "turns", len(f.history(id)), 2)
	}
}

// terminateFamilyRace has parents and children terminated, each from its own side, while their holders commit turns that
// send to each other.
func terminateFamilyRace(f *fixture) {
	const rounds = 20
	w := f.worker()
	handles := []provider.Provider{f.p, f.handle(), f.handle(), f.handle()}
	for round := range rounds {
		parent := f.granted(w, f.fresh("parent"))
		child := f.spawn(parent, f.fresh("child"), 1)
		brother := f.spawn(parent, f.fresh("brother"), 2)
		pair := []*lease{parent, child}
		var items []provider.AckItem
		for i, l := range pair {
			items = append(items, l.item(f.turn(1, func(c *provider.Commit) {
				c.Keep, c.Messages = true, []provider.NewMessage{engineMessage(pair[1-i].InstanceID, "m")}
			})))
		}
		down := f.termination(parent.InstanceID)
		down.Children = true
		up := []provider.Termination{f.termination(brother.InstanceID), f.termination(child.InstanceID), f.termination(parent.InstanceID)}
		errs := together(4, func(i int) error {
			var err error
			switch i {
			case 0:
				_, err = handles[i].TerminateInstances(f.ctx, []provider.Termination{down})
			case 1:
				_, err = handles[i].TerminateInstances(f.ctx, up)
			default:
				_, err = handles[i].AckOrchestrationItems(f.ctx, &provider.AckRequest{Worker: w, Items: items[i-2 : i-1]})
			}
			return err
		})
		f.check("D7", len(errs) == 0, "round %d: %v", round, errs)
		for _, l := range []*lease{parent, child, brother} {
			equal(f, "D7", fmt.Sprintf("round %d: status of %s", round, l.InstanceID), f.state(l.InstanceID).Status, provider.StatusTerminated)
		}
		f.fetchNone("D7", w, "all have ended")
	}
}

// terminateRacesOthers terminates an instance while all other calls that can touch it are under way.
func terminateRacesOthers(f *fixture) {
	const rounds = 15
	w, other := f.worker(), f.worker()
	handles := []provider.Provider{f.p, f.handle(), f.handle(), f.handle()}
	for round := range rounds {
		id := f.fresh("a")
		l := f.granted(w, id)
		f.ack(l, f.turn(4, func(c *provider.Commit) {
			c.Keep = round%2 == 0
			c.Work = []provider.NewWork{f.work(1, false), f.work(2, false)}
			c.Timers = []provider.NewTimer{{Event: 3, FireAt: f.now().Add(-time.Second)}}
		}))
		held := f.fetchWork(w, 1)
		equal(f, "W1", "items", len(held), 1)
		t := f.termination(id)
		calls := []func(p provider.Provider) error{
			func(p provider.Provider) error {
				_, err := p.TerminateInstances(f.ctx, []provider.Termination{t})
				return err
			},
			func(p provider.Provider) error {
				_, err := p.AckWorkItems(f.ctx, &provider.AckWorkRequest{Worker: other, Serves: []provider.ClassID{f.flow}, Items: []provider.AckWorkItem{
					{WorkKey: held[0].WorkKey, Token: held[0].Token, Request: provider.NewToken(), Body: done(1), Take: true}}})
				return err
			},
			func(p provider.Provider) error {
				_, err := p.Pulse(f.ctx, &provider.PulseRequest{TTL: time.Hour})
				return err
			},
			func(p provider.Provider) error {
				_, err := p.FetchOrchestrationItems(f.ctx, f.fetchRequest(other, 10, f.flow))
				return err
			},
			func(p provider.Provider) error {
				_, err := p.FetchWorkItems(f.ctx, f.fetchWorkServing(other, 10))
				return err
			},
			func(p provider.Provider) error {
				_, err := p.EnqueueMessages(f.ctx, []provider.NewMessage{engineMessage(id, "m")})
				return err
			},
			func(p provider.Provider) error {
				_, err := p.SuspendInstances(f.ctx, []string{id}, []byte(`1`))
				return err
			},
			func(p provider.Provider) error {
				return p.AbandonItems(f.ctx, &provider.AbandonRequest{Instances: []provider.AbandonedInstance{{Ref: l.Ref, Token: l.Token}}})
			},
		}
		errs := together(len(calls), func(i int) error { return calls[i](handles[i%len(handles)]) })
		f.check("D7", len(errs) == 0, "round %d: %v", round, errs)
		st := f.state(id)
		equal(f, "D7", "status", st.Status, provider.StatusTerminated)
		equal(f, "D7", "owner", st.Worker, 0)
		equal(f, "D7", "outcome", string(st.LastTurn.Events), string(t.Events))
		f.fetchNone("D3", w, "the instance was terminated")
		equal(f, "D3", "items in the queue", len(f.fetchWork(w, 10)), 0)
		p := f.pulse(&provider.PulseRequest{Worker: other})
		f.check("D3", p.NextTimer.IsZero(), "a timer is pending for %v", p.NextTimer)
	}
}
