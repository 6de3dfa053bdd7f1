package overlay_test

import (
	"errors"
	"io"
	"testing"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// TestAnswers says for each pair of verbs whether one answers the other.
func TestAnswers(t *testing.T) {
	want := map[[2]overlay.Verb]bool{
		{overlay.Pong, overlay.Ping}: true, {overlay.Nodes, overlay.FindNode}: true, {overlay.Nodes, overlay.FindValue}: true, {overlay.Value, overlay.FindValue}: true,
		{overlay.Reply, overlay.Ping}: true, {overlay.Reply, overlay.FindNode}: true, {overlay.Reply, overlay.FindValue}: true, {overlay.Reply, overlay.Store}: true,
	}
	for answer := overlay.NoVerb; answer <= overlay.Reply+1; answer++ {
		for request := overlay.NoVerb; request <= overlay.Reply+1; request++ {
			if got := answer.Answers(request); got != want[[2]overlay.Verb{answer, request}] {
				t.Errorf("%v answers %v: got %t", answer, request, got)
			}
		}
	}
}

func TestRequestNumber(t *testing.T) {
	for _, n := range []uint64{0, 7, 1 << 63} {
		if got := overlay.RequestNumber(n).Number(); got != n {
			t.Errorf("got %d, want %d", got, n)
		}
	}
}

func TestDecodeErrorNamesItsCause(t *testing.T) {
	var err error = &overlay.DecodeError{Stage: overlay.StageTag, Cause: io.ErrUnexpectedEOF}
	if !errors.Is(err, io.ErrUnexpectedEOF) || err.Error() != "kad: decode tag: unexpected EOF" {
		t.Errorf("got %q", err)
	}
}
