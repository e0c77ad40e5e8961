package pawl

// WithCancel returns a Context within o, and a function that cancels it, as context.WithCancel does: what was scheduled
// through it and is not done yet, there or in a Context within it, is withdrawn. Awaiting that fails with ErrCancelled at
// once; only a sub-orchestration, which is asked to end, is still waited for, and whatever its end is is the answer. What
// is scheduled through it from then on fails the same way and is not even begun.
//
// The Context is cancelled too when o is, as that which the orchestration began with is when somebody cancels the
// instance. cancel may be called from the orchestration's goroutine only; calls after the first do nothing.
func WithCancel(o *Context) (within *Context, cancel func(reason string)) {
	derived := *o
	derived.scope = o.x.NewScope(o.scope)
	return &derived, func(reason string) { derived.scope.Cancel(reasonText(reason)) }
}

// Detached returns a Context that is not cancelled with o, nor when somebody cancels the instance: for what must be done
// all the same, as cleaning up is.
//
//	if errors.Is(err, pawl.ErrCancelled) {
//		_, refundErr := pawl.Activity(pawl.Detached(o), Refund, charge).Await()
//		return receipt, errors.Join(err, refundErr)
//	}
func Detached(o *Context) *Context {
	derived := *o
	derived.scope = o.x.NewScope(nil)
	return &derived
}

// Err returns a *CancelledError with the reason if the Context is cancelled, else nil. It can change only when something is
// awaited. An orchestration that has been asked to end returns it, or any error that matches ErrCancelled, to end with the
// status cancelled.
func (o *Context) Err() error {
	why := o.scope.Cancelled()
	if why == nil {
		return nil
	}
	return &CancelledError{Reason: why.Message}
}
