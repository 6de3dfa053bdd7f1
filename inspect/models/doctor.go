package models

import "time"

// Doctor is the content of the section "doctor": the last examination of the node as a whole.
type Doctor struct {
	At        time.Time  `json:"at,omitzero"` // of the end of the examination
	Steps     []Checked  `json:"steps"`
	Diagnosis *Diagnosis `json:"diagnosis,omitempty"` // nil: there was none yet
}

// Examined is one line of the answer of an examination: a step, or at the end the diagnosis.
type Examined struct {
	Step      *Checked   `json:"step,omitempty"`
	Diagnosis *Diagnosis `json:"diagnosis,omitempty"`
}

// CheckState says how a step of an examination has ended.
type CheckState string

// How a step can end.
const (
	CheckOK     CheckState = "ok"
	CheckNote   CheckState = "note"   // the node works as it should, and somebody should know
	CheckFailed CheckState = "failed" // it is wrong
)

// Checked is a step of an examination.
type Checked struct {
	Step   string     `json:"step"`         // what was looked at: "disk", "address", …
	On     string     `json:"on,omitempty"` // which one, if there are several: an address, a peer
	State  CheckState `json:"state"`
	What   string     `json:"what"`
	TookMS float64    `json:"took_ms,omitzero"`
	Notice *Notice    `json:"notice,omitempty"` // what is wrong, and what helps; nil: nothing
}

// Diagnosis is the end of an examination.
type Diagnosis struct {
	OK    bool    `json:"ok"`
	What  string  `json:"what"`            // in a sentence
	Cause *Notice `json:"cause,omitempty"` // one cause, with one next step; nil: nothing is wrong
	Also  Notices `json:"also"`            // what else is wrong, or should be known
}
