package render

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/transport"
)

// TestWhyNamesTheRemedy has peers that are not connected for different causes:
// the last line says what to do about it, and there is none for who is connected.
func TestWhyNamesTheRemedy(t *testing.T) {
	now := time.Now()
	const id, key = "00112233445566778899aabbcc", "aabb"
	failed := func(at time.Time, err string) []models.WhyDial {
		return []models.WhyDial{{At: at, Addr: "/ip4/127.0.0.1/tcp/1", Stage: "connect", Error: err}}
	}
	inward := &transport.DialError{
		Addr: ma.StringCast("/dns4/inward.example/tcp/80"), Stage: transport.StageConnect, Err: address.Public(netip.MustParseAddr("127.0.0.1")),
	}
	for name, c := range map[string]struct {
		w    models.Why
		want []string // lines begin with
	}{
		"banned":     {models.Why{BannedUntil: now.Add(time.Hour), BanReason: "noisy"}, []string{key + " is banned until 20", key + " is not connected.", `Next: "gamelan unban ` + id + `" lifts the ban`}},
		"connected":  {models.Why{Connected: true, Since: now.Add(-4 * time.Minute), Direction: "inbound", Remote: "/memory/1", Addresses: 1}, []string{key + " is connected, inbound, for 4m, at /memory/1."}},
		"moved":      {models.Why{Connected: true, Since: now.Add(-4 * time.Minute), MovedFrom: "11.2.0.10", MovedAt: now.Add(-3 * time.Minute), Addresses: 1}, []string{key + " is connected, ", "Its last connection was with another address, 11.2.0.10, and ended 3m ago, at "}},
		"no address": {models.Why{}, []string{key + " is not connected.", `Next: no address of it is known; give one with "gamelan dial aabb::ADDRESS".`}},
		"ended":      {models.Why{Addresses: 1, Lost: "ended by peer", LostAt: now.Add(-time.Hour), Dials: failed(now.Add(-2*time.Hour), "old")}, []string{key + " is not connected.", "Its last connection ended 1h ago, at ", `Next: connect to it with "gamelan dial ` + id + `".`}},
		"failed":     {models.Why{Addresses: 1, Dials: failed(now, "connection refused; check that the peer is running"), NextDialAt: now.Add(90 * time.Second)}, []string{key + " is not connected.", "It is dialled again at ", `Next: check that the peer is running; or give another address with "gamelan dial aabb::ADDRESS".`}},
		"dead onion": {models.Why{Addresses: 1, Tor: "Tor works here.", Dials: failed(now, "not published; check that the peer is running")}, []string{key + " is not connected.", "Tor works here.", "Next: check that the peer is running; or"}},
		"inward":     {models.Why{Addresses: 1, Dials: failed(now, inward.Error())}, []string{key + " is not connected.", `Next: if this peer is meant to be there, give its address yourself; or give another address with "gamelan dial aabb::ADDRESS".`}},
		"no remedy":  {models.Why{Addresses: 1, Dials: failed(now, "trouble")}, []string{key + " is not connected.", "Next: check that it runs and listens there"}},
		"neighbour and seed": {
			models.Why{Connected: true, Since: now, Direction: "outbound", Remote: "/memory/1", Pools: []string{"neighbour", "seed"}, Asked: &models.WhyAsked{At: now.Add(-5 * time.Minute), Answered: true, Peers: 1200}},
			[]string{key + " is connected, outbound, ", "It is a neighbour: one of the known nodes closest to this one.", "It is also a seed.", "Asked for peers 5m ago, it told of 1,200.\n"},
		},
		"random": {
			models.Why{Connected: true, Since: now, Pools: []string{"random"}, Asked: &models.WhyAsked{At: now.Add(-5 * time.Minute), Answered: true, Peers: 7, New: new(3)}},
			[]string{key + " is connected, ", "It is one of the nodes chosen at random to stay connected to.", "Asked for peers 5m ago, it told of 7, of which 3 were new.\n"},
		},
		"seed that does not answer": {
			models.Why{Addresses: 1, Pools: []string{"seed"}, Asked: &models.WhyAsked{At: now.Add(-5 * time.Minute), Error: "connection refused"}},
			[]string{key + " is not connected.", "It is a seed.", "Asked for peers 5m ago, it did not answer: connection refused.\n", "Next: connect to it"},
		},
		"seed that was not asked": {
			models.Why{Addresses: 1, Pools: []string{"seed"}, Asked: &models.WhyAsked{}},
			[]string{key + " is not connected.", "It is a seed.", "It was not asked for peers yet.\n", "Next: connect to it"},
		},
		"stored messages": {
			models.Why{Connected: true, Since: now, Stored: &models.StoreForwardPeer{LastAt: now.Add(-5 * time.Minute), Last: &models.StoreForwardResult{Messages: 3, Delivered: 2, Duplicates: 1}}},
			[]string{key + " is connected, ", "Asked for stored messages 5m ago: 3 messages: 2 delivered, 1 known already.\n"},
		},
		"silent about stored messages": {
			models.Why{Connected: true, Since: now, Stored: &models.StoreForwardPeer{Unanswered: 3, SilentUntil: now.Add(2*time.Hour + time.Minute)}},
			[]string{key + " is connected, ", "Stored messages: does not answer: perhaps a release that stores no messages; asked again in 2h.\n"},
		},
		"once silent about stored messages": {
			models.Why{Connected: true, Since: now, Stored: &models.StoreForwardPeer{Unanswered: 1}},
			[]string{key + " is connected, ", "Asked for stored messages, it left 1 request unanswered.\n"},
		},
		"never dialled": {models.Why{Addresses: 1, Protected: []string{"chat-1"}}, []string{key + " is not connected, protected by chat-1.", "Next: connect to it"}},
	} {
		c.w.NodeID, c.w.PublicKey = id, key
		var b bytes.Buffer
		if err := Why(&Output{Out: &b, Err: &b}, c.w); err != nil {
			t.Fatal(err)
		}
		var got []string
		for line := range strings.Lines(b.String()) {
			if !strings.HasPrefix(line, "DIALLED") && !strings.Contains(line, "0.0ms") && !strings.HasPrefix(line, "No remembered choice") {
				got = append(got, line)
			}
		}
		same := len(got) == len(c.want)
		for i := range c.want {
			same = same && strings.HasPrefix(got[i], c.want[i])
		}
		if !same {
			t.Errorf("%s: got\n%swant lines that begin with %q", name, b.String(), c.want)
		}
	}
}

// TestWhyOfOneCandidate has fewer candidates than dials are wanted.
func TestWhyOfOneCandidate(t *testing.T) {
	const id = "00112233445566778899aabbcc"
	var b bytes.Buffer
	w := models.Why{NodeID: id, Purpose: "fill", Missing: 1, Wanted: 30, Considered: 1, Candidates: []models.WhyCandidate{{Rank: 1, NodeID: id, Verdict: "chosen"}}}
	if err := Why(&Output{Out: &b, Err: &b}, w); err != nil {
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
		if err := Connections(&Output{Out: &b, Err: &b}, []models.Connection{{Peer: "p", Direction: "inbound", RTTMS: ms}}, false); err != nil {
			t.Fatal(err)
		}
		if got := strings.Fields(strings.Split(b.String(), "\n")[1])[3]; got != want {
			t.Errorf("%v ms: got %q, want %q", ms, got, want)
		}
	}
}
