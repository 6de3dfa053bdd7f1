package render

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// TestWhyOfOneCandidate has fewer candidates than dials are wanted.
func TestWhyOfOneCandidate(t *testing.T) {
	const id = "00112233445566778899aabbcc"
	var b bytes.Buffer
	w := models.Why{NodeID: id, Purpose: "fill", Missing: 1, Wanted: 30, Considered: 1, Candidates: []models.WhyCandidate{{Rank: 1, NodeID: id, Verdict: "chosen"}}}
	if err := Why(&Output{Out: &b, Err: &b}, w, WhyOptions{All: true, Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if want := " had 1 candidate for up to 30 dials; missing: 1 connection.\n"; !strings.Contains(b.String(), want) {
		t.Errorf("got\n%s\nwant %q in it", b.String(), want)
	}
}

// TestUnmeasuredRTT has a connection on which no round trip was measured yet.
func TestUnmeasuredRTT(t *testing.T) {
	for ms, want := range map[float64]string{0: "-", 0.04: "<0.1ms", 1.25: "1.2ms"} {
		var b bytes.Buffer
		if err := Connections(&Output{Out: &b, Err: &b}, []models.Connection{{Peer: "p", Direction: "inbound", RTTMS: ms}}, false, time.Now()); err != nil {
			t.Fatal(err)
		}
		if got := strings.Fields(strings.Split(b.String(), "\n")[1])[3]; got != want {
			t.Errorf("%v ms: got %q, want %q", ms, got, want)
		}
	}
}
