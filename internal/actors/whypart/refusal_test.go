package whypart

import (
	"errors"
	"fmt"
	"testing"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/protocol/why"
	"github.com/gamelan-p2p/gamelan/internal/transport/upgrade"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestRefusals: what this node has decided is a refusal. What the other side has given up is none: it dials
// several addresses at once, and its doctor only wants to see the key.
func TestRefusals(t *testing.T) {
	at := func(stage upgrade.Stage, err error) error { return &upgrade.Error{Stage: stage, Err: err} }
	for want, errs := range map[string][]error{
		why.CodeLimit:    {fmt.Errorf("%w: %w", actors.ErrOverloaded, &protocol.LimitError{Limit: 3})},
		why.CodeBanned:   {&actors.BannedError{}, at(upgrade.StageKey, upgrade.ErrBanned)},
		why.CodeUnlisted: {&actors.NotAdmittedError{}},
		why.CodeSecret:   {at(upgrade.StageNoise, &protocol.NoSecretError{}), actors.ErrSecretGivenUp},
		why.CodeNetwork:  {at(upgrade.StageWire, &upgrade.WireByteError{})},
		why.CodeDraining: {actors.ErrDraining},
		why.CodeSetup:    {at(upgrade.StageIdentity, protocol.Violated("identity", protocol.BanShort, errors.New("no address")))},
		"": {
			at(upgrade.StageIdentity, upgrade.ErrHungUp), at(upgrade.StageNoise, upgrade.ErrRefused), at(upgrade.StageNoise, upgrade.ErrSilent),
			at(upgrade.StageNoise, upgrade.ErrSetupTimeout), at(upgrade.StageNoise, upgrade.ErrStalled), actors.ErrClosing, actors.ErrSelf,
		},
	} {
		for _, err := range errs {
			if seen, ok := refusal(err, "identity"); seen.Code != want || ok != (want != "") || ok && seen.Kind != why.Refused {
				t.Errorf("%v: got %+v, %v, want %q", err, seen, ok, want)
			}
		}
	}
}
