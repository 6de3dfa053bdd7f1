package config

import (
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/gamelan-p2p/gamelan/protocol"
)

// How far a change of the secret is, [PrivateConfig.Rotation].
const (
	RotationBegun    = "begun"    // Accept is the new secret
	RotationSwitched = "switched" // Secret is the new one
)

// RotationError reports a step that would be the wrong one now. Nothing has changed.
type RotationError struct {
	Step string // as it was asked for
	Next string // the step to take; empty: the network does not say which of its secrets is new
	Why  string
}

// Error says why, and which step is next.
func (e *RotationError) Error() string {
	s := fmt.Sprintf("gamelan: the secret cannot be changed by the step %q: %s", e.Step, e.Why)
	if e.Next != "" {
		s += fmt.Sprintf("; the next step is %q", e.Next)
	}
	return s
}

// Rotate takes a step of a change of the secret:
//
//   - "begin": a new secret, which nodes accept beside the present one.
//   - "switch": nodes dial with the new one, and accept the old one.
//   - "end": nodes accept the new one alone.
//   - "abandon" takes "begin" back.
//   - "now": a new secret at once, and none beside it. It cuts the network until all nodes have it.
//
// A step that is not the next one is refused with a [*RotationError], so that no step can be taken twice.
// The network has Rotation as its memory of that.
func (p *PrivateConfig) Rotate(step string) error {
	state := p.Rotation
	if state == "" && p.Accept == nil {
		state = "none"
	}
	type at struct{ state, step string }
	switch (at{state, step}) {
	case at{"none", "begin"}:
		fresh, err := protocol.NewNetworkSecret(rand.Reader)
		if err != nil {
			return err
		}
		p.Accept, p.Rotation = fresh, RotationBegun
		return nil
	case at{RotationBegun, "switch"}:
		p.Secret, p.Accept, p.Rotation = p.Accept, p.Secret, RotationSwitched
		return nil
	case at{RotationSwitched, "end"}, at{RotationBegun, "abandon"}:
		p.Accept, p.Rotation = nil, ""
		return nil
	}
	refuse := func(next, why string) error { return &RotationError{step, next, why} }
	switch {
	case step == "now":
		fresh, err := protocol.NewNetworkSecret(rand.Reader)
		if err == nil {
			p.Secret, p.Accept, p.Rotation = fresh, nil, ""
		}
		return err
	case step != "begin" && step != "switch" && step != "end" && step != "abandon":
		return refuse("", "there is no such step")
	case state == "none":
		return refuse("begin", "no change has begun")
	case state == RotationBegun && step == "end":
		return refuse("switch", "it would keep the old secret; the nodes have only begun to accept the new one")
	case state == RotationBegun:
		return refuse("switch", "a change has begun already")
	case state == RotationSwitched && step == "switch":
		return refuse("end", "the nodes dial with the new secret already, and it would bring the old one back")
	case state == RotationSwitched && step == "abandon":
		return refuse("end", "the nodes dial with the new secret already")
	case state == RotationSwitched:
		return refuse("end", "a change is under way")
	}
	return refuse("", "there are two secrets, and nothing says which of them is new")
}

var errNoRotation = errors.New("a change of the secret is under way, but there is no second secret; set Accept, or leave Rotation empty")

// checkRotation checks the state of a change.
func (p *PrivateConfig) checkRotation() error {
	switch {
	case p.Rotation != "" && p.Rotation != RotationBegun && p.Rotation != RotationSwitched:
		return fmt.Errorf("rotation %q; use %q or %q, or leave it out", p.Rotation, RotationBegun, RotationSwitched)
	case p.Rotation != "" && p.Accept == nil:
		return errNoRotation
	}
	return nil
}
