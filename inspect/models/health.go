package models

// HealthState is the health of a node in a word.
type HealthState string

// The states.
const (
	HealthOK       HealthState = "ok"       // it works as it should
	HealthDegraded HealthState = "degraded" // it runs, and does not work as it should
	HealthFailed   HealthState = "failed"   // it does not work
)

// Health is the health of a node, and why it is so.
type Health struct {
	State HealthState `json:"state"`
	// Reasons are why it is not ok, the cause first. Those of a failed node are all Failed, those of
	// a degraded one all Degraded.
	Reasons Notices `json:"reasons"`
	// Warnings are what else somebody should know. Those of a failed node have why it is degraded, too.
	Warnings Notices `json:"warnings"`
}

// Of returns the notices of a severity, in their order.
func (l Notices) Of(s Severity) (list Notices) {
	for _, n := range l {
		if n.Severity == s {
			list = append(list, n)
		}
	}
	return list
}

// StateOf returns the state of a node: what it has failed of, and why else it is degraded.
func StateOf(failed, degraded Notices) HealthState {
	switch {
	case len(failed) > 0:
		return HealthFailed
	case len(degraded) > 0:
		return HealthDegraded
	}
	return HealthOK
}
