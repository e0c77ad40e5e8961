package history

// UpdateName is the name under which updates lie in an inbox, as external events; nobody can raise one of that name.
const UpdateName = "pawl:update"

// UpdateReceived records an update that was accepted: the code that handles it runs at this place. As a message it is
// the update on its way.
type UpdateReceived struct {
	ID      string  `json:"id"`
	Name    string  `json:"name"`
	Payload Payload `json:"payload,omitzero"`
}

// UpdateAnswered ends what an update has done with its answer. Failure nil means success.
type UpdateAnswered struct {
	Received int32    `json:"received"` // number of the UpdateReceived
	ID       string   `json:"id"`
	Result   Payload  `json:"result,omitzero"`
	Failure  *Failure `json:"failure,omitempty"`
}

// UpdateRejected answers an update that was not accepted. It had no effect.
type UpdateRejected struct {
	ID      string  `json:"id"`
	Name    string  `json:"name"`
	Failure Failure `json:"failure"`
	// Unknown: the code handles updates, but none of that name.
	Unknown bool `json:"unknown,omitempty"`
}

// UpdateRepeated answers an update whose id was answered before: it says where.
type UpdateRepeated struct {
	UpdateAt
}

// UpdateAt is the place of the answer to an update: an event of the instance.
type UpdateAt struct {
	ID        string `json:"id"`
	Execution int32  `json:"execution"`
	Event     int32  `json:"event"`
}

// LimitExceeded records that the code was refused something because of a limit, so that it is refused again in every
// replay, whatever the limit is then.
type LimitExceeded struct {
	Check int32  `json:"check"` // the how manieth check of the execution, from 1
	What  string `json:"what"`  // what is limited
	Key   string `json:"key,omitempty"`
	Size  int64  `json:"size"`
	Limit int64  `json:"limit"`
}

// Type implements Event.
func (*UpdateReceived) Type() string { return "UpdateReceived" }
func (*UpdateAnswered) Type() string { return "UpdateAnswered" }
func (*UpdateRejected) Type() string { return "UpdateRejected" }
func (*UpdateRepeated) Type() string { return "UpdateRepeated" }
func (*LimitExceeded) Type() string  { return "LimitExceeded" }
