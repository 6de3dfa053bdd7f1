package kad_test

import (
	"errors"
	"io"
	"testing"

	"github.com/gamelan-p2p/gamelan/dht/kad"
)

// TestAnswers says for each pair of verbs whether one answers the other.
func TestAnswers(t *testing.T) {
	want := map[[2]kad.Verb]bool{
		{kad.Pong, kad.Ping}: true, {kad.Nodes, kad.FindNode}: true, {kad.Nodes, kad.FindValue}: true, {kad.Value, kad.FindValue}: true,
		{kad.Reply, kad.Ping}: true, {kad.Reply, kad.FindNode}: true, {kad.Reply, kad.FindValue}: true, {kad.Reply, kad.Store}: true,
	}
	for answer := kad.NoVerb; answer <= kad.Reply+1; answer++ {
		for request := kad.NoVerb; request <= kad.Reply+1; request++ {
			if got := answer.Answers(request); got != want[[2]kad.Verb{answer, request}] {
				t.Errorf("%v answers %v: got %t", answer, request, got)
			}
		}
	}
}

func TestRequestNumber(t *testing.T) {
	for _, n := range []uint64{0, 7, 1 << 63} {
		if got := kad.RequestNumber(n).Number(); got != n {
			t.Errorf("got %d, want %d", got, n)
		}
	}
}

func TestDecodeErrorNamesItsCause(t *testing.T) {
	var err error = &kad.DecodeError{Stage: kad.StageTag, Cause: io.ErrUnexpectedEOF}
	if !errors.Is(err, io.ErrUnexpectedEOF) || err.Error() != "kad: decode tag: unexpected EOF" {
		t.Errorf("got %q", err)
	}
}
