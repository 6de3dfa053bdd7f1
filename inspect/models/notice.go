package models

import "encoding/json"

// Severity says what a [Notice] means for the health of a node.
type Severity string

// The severities.
const (
	Warning  Severity = "warning"  // it works as it should, and somebody should know
	Degraded Severity = "degraded" // it runs, and does not work as it should
	Failed   Severity = "failed"   // it does not work
	Failure  Severity = "failure"  // a message or a request has failed
)

// Notice says what is wrong with a node, and what kind of step helps. It names no commands: a
// program turns Code into those that it has.
type Notice struct {
	Code     string            `json:"code"` // of package inspect/codes, or of a part's own
	Severity Severity          `json:"severity"`
	What     string            `json:"what"`           // what is wrong; it may hold text of strangers
	Step     string            `json:"step,omitempty"` // what helps
	Args     map[string]string `json:"args,omitempty"` // what What is about, such as the peer
	// Program says that the words are those of the program, whatever the code is.
	Program bool `json:"program,omitempty"`
}

// String returns what is wrong, and what helps.
func (n Notice) String() string {
	if n.Step == "" {
		return n.What
	}
	return n.What + "; " + n.Step
}

// UnmarshalJSON also takes a text, as nodes of other versions write notices.
func (n *Notice) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &n.What)
	}
	type plain Notice
	return json.Unmarshal(b, (*plain)(n))
}

// Notices are what is wrong with a node, the order has no meaning.
type Notices []Notice

// Texts returns each notice as text.
func (l Notices) Texts() []string {
	all := make([]string, len(l))
	for i, n := range l {
		all[i] = n.String()
	}
	return all
}
