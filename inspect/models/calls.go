package models

// Calls is the content of the section "calls": the calls of the program to services of peers, and those of
// peers to its own services, since the node's start. Those to the node's own services are in neither.
type Calls struct {
	Made       []CallsEnded `json:"made" with:"direction=out"`  // by this program
	Served     []CallsEnded `json:"served" with:"direction=in"` // for peers, and for this program by itself
	MadeTook   Histogram    `json:"made_took" rank:"3" unit:"s" with:"direction=out" metric:"call_duration_seconds" help:"Time from the call until its answer, or until the method has returned; calls with streams are not timed."`
	ServedTook Histogram    `json:"served_took" rank:"3" unit:"s" with:"direction=in" metric:"call_duration_seconds"`
}

// CallsEnded counts calls that have ended in one way.
type CallsEnded struct {
	Result string `json:"result" by:"result"` // a status, or "cancelled", "session lost", "not run" or "other"
	Count  uint64 `json:"count" metric:"calls_total" help:"Calls that have ended, made by this program or served for others, by their result."`
}
