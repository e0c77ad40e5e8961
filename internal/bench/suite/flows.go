package suite

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pawlrun/pawl"
)

// The sizes of the workloads.
const (
	sequenceSteps = 20
	fanoutWidth   = 100
)

// Parcel is the input and result of all orchestrations and activities here. The number is worked on, the filling makes
// it as large as wanted and has to come back as it was.
type Parcel struct {
	Number  int64  `json:"n"`
	Filling string `json:"f"`
	// Nap is how long a sleeper sleeps, Late by how much it woke too late by the clock of the store.
	Nap  time.Duration `json:"nap,omitempty"`
	Late time.Duration `json:"late,omitempty"`
}

// MinPayload is the least size of a parcel.
const MinPayload = 32

// newFilling makes parcels of a number of bytes. It is random, so that it compresses no better than text of a user.
func newFilling(payload int) (string, error) {
	empty, err := json.Marshal(Parcel{Number: 1e9})
	if err != nil {
		return "", err
	}
	random := make([]byte, max(payload-len(empty), 0))
	rand.Read(random)
	return base64.StdEncoding.EncodeToString(random)[:len(random)], nil
}

// increment is the activity of all workloads that have one.
func increment(_ context.Context, in Parcel) (Parcel, error) {
	in.Number++
	return in, nil
}

// hello is one activity.
func hello(o *pawl.Context, in Parcel) (Parcel, error) {
	return pawl.Activity(o, increment, in).Await()
}

// sequence is one activity after another.
func sequence(o *pawl.Context, in Parcel) (p Parcel, err error) {
	p = in
	for range sequenceSteps {
		if p, err = pawl.Activity(o, increment, p).Await(); err != nil {
			return p, err
		}
	}
	return p, nil
}

// fanout is many activities at once, whose numbers it adds up.
func fanout(o *pawl.Context, in Parcel) (Parcel, error) {
	futures := make([]*pawl.Future[Parcel], fanoutWidth)
	for i := range futures {
		part := in
		part.Number += int64(i)
		futures[i] = pawl.Activity(o, increment, part)
	}
	parts, err := pawl.All(futures...)
	if err != nil {
		return Parcel{}, err
	}
	sum := Parcel{Filling: in.Filling}
	for _, p := range parts {
		if p.Filling != in.Filling {
			return Parcel{}, errors.New("the filling of an activity's result is not that of its input")
		}
		sum.Number += p.Number
	}
	return sum, nil
}

// sleeper sleeps once and says how late it woke.
func sleeper(o *pawl.Context, in Parcel) (Parcel, error) {
	due := o.Now().Add(in.Nap)
	if err := pawl.Sleep(o, in.Nap); err != nil {
		return Parcel{}, err
	}
	in.Number++
	in.Late = o.Now().Sub(due)
	return in, nil
}

// growth is the input of an orchestration that grows.
type growth struct {
	Steps int    `json:"steps"`
	Start Parcel `json:"start"`
}

// What a grown instance is told.
const (
	wakeEvent = "wake"
	wakeUp    = "up"
	wakeEnd   = "end"
)

// grow takes steps, and then an activity each time it is woken, until it is told to end.
func (f *flows) grow(o *pawl.Context, in growth) (p Parcel, err error) {
	p = in.Start
	for range in.Steps {
		if p, err = pawl.Activity(o, f.step, p).Await(); err != nil {
			return p, err
		}
	}
	for {
		word, err := pawl.Event[string](o, wakeEvent).Await()
		if err != nil || word == wakeEnd {
			return p, err
		}
		if _, err := pawl.Activity(o, f.awake, p).Await(); err != nil {
			return p, err
		}
	}
}

// flows are the functions of all workloads, with what those of the large history tell the runner in this process.
type flows struct {
	mu     sync.Mutex
	trails map[string]*trail         // by instance
	woken  map[string]chan time.Time // by instance
}

func newFlows() *flows {
	return &flows{trails: map[string]*trail{}, woken: map[string]chan time.Time{}}
}

func (f *flows) register(app *pawl.App) error {
	return errors.Join(
		pawl.RegisterOrchestration(app, hello), pawl.RegisterOrchestration(app, sequence), pawl.RegisterOrchestration(app, fanout),
		pawl.RegisterOrchestration(app, sleeper), pawl.RegisterActivity(app, increment),
		pawl.RegisterOrchestration(app, f.grow, pawl.Name("grow")), pawl.RegisterActivity(app, f.step, pawl.Name("step")),
		pawl.RegisterActivity(app, f.awake, pawl.Name("awake")))
}

// follow makes the steps of an instance leave a trail.
func (f *flows) follow(instance string, t *trail) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.trails[instance] = t
}

// step is an increment that leaves a trail.
func (f *flows) step(ctx context.Context, in Parcel) (Parcel, error) {
	info, _ := pawl.ActivityInfoFrom(ctx)
	f.mu.Lock()
	t := f.trails[info.InstanceID]
	f.mu.Unlock()
	if t != nil {
		if err := t.step(ctx, int(in.Number)); err != nil {
			return in, err
		}
	}
	return increment(ctx, in)
}

// expect returns a channel that tells when an instance is awake.
func (f *flows) expect(instance string) <-chan time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := make(chan time.Time, 1)
	f.woken[instance] = c
	return c
}

// awake tells that the instance is, once.
func (f *flows) awake(ctx context.Context, in Parcel) (Parcel, error) {
	now := time.Now()
	info, ok := pawl.ActivityInfoFrom(ctx)
	if !ok {
		return in, fmt.Errorf("%w: awake runs as an activity", pawl.ErrInvalid)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.woken[info.InstanceID]; c != nil {
		c <- now
		delete(f.woken, info.InstanceID)
	}
	return in, nil
}
