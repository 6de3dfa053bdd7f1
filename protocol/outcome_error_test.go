package protocol

import (
	"errors"
	"io"
	"testing"
)

// TestOutcomeAsError is nil for confirmed alone, and leads to the outcome and its detail.
func TestOutcomeAsError(t *testing.T) {
	if err := (Outcome{Kind: Confirmed}).AsError(); err != nil {
		t.Errorf("confirmed: got %v, want nil", err)
	}
	for _, o := range []Outcome{{}, {Kind: InDoubt, Reason: ConnectionLost, Err: io.EOF}, {Kind: Failed, Reason: TooLong}} {
		err := o.AsError()
		as, ok := errors.AsType[*OutcomeError](err)
		if !ok || as.Outcome != o || err.Error() != o.String() || errors.Is(err, io.EOF) != (o.Err != nil) {
			t.Errorf("%v: got %v", o, err)
		}
	}
}
