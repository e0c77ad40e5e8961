package history

// OutcomeOf returns how an execution ended by its last event: with a result, or a failure that is not nil. ended is false
// for an event that ends nothing, and for the end of an execution that goes on as the next one.
func OutcomeOf(last Event) (result Payload, failure *Failure, ended bool) {
	switch ev := last.(type) {
	case *ExecutionCompleted:
		return ev.Result, nil, true
	case *ExecutionFailed:
		return Payload{}, &ev.Failure, true
	case *ExecutionCancelled:
		return Payload{}, &ev.Failure, true
	case *ExecutionTerminated:
		return Payload{}, &Failure{Kind: FailureTerminated, Message: ev.Reason}, true
	}
	return Payload{}, nil, false
}
