package trunk

import (
	"errors"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

func TestDescribeReport(t *testing.T) {
	peer := identity.NodeID{1}
	one := func(o protocol.Outcome) dht.Report {
		return dht.Report{End: time.Unix(1, 0), Copies: []dht.Copy{{Peer: peer, Outcome: o}}}
	}
	for want, r := range map[string]dht.Report{
		"failed: peer not found: nobody looks":    {Reason: dht.DiscoveryFailed, Err: errors.New("actors: nobody\nlooks"), End: time.Unix(1, 0)},
		"failed: nobody to send it to":            {Reason: dht.NobodySelected, End: time.Unix(1, 0)},
		"failed: dial failed: connection refused": one(protocol.Outcome{Kind: protocol.Failed, Reason: protocol.DialFailed, Err: errors.New("transport: connection refused")}),
		"in doubt: connection lost":               one(protocol.Outcome{Kind: protocol.InDoubt, Reason: protocol.ConnectionLost}),
		"confirmed":                               one(protocol.Outcome{Kind: protocol.Confirmed}),
		"1 of 2 confirmed, 1 open":                {Copies: append(one(protocol.Outcome{}).Copies, one(protocol.Outcome{Kind: protocol.Confirmed}).Copies...)},
	} {
		v := describeReport(r)
		if v.Summary != want || len(v.Copies) != len(r.Copies) || v.Destination != "" {
			t.Errorf("got %+v, want %q", v, want)
		}
		if v.Failed() != (!r.End.IsZero() && r.Count(protocol.Confirmed) == 0) {
			t.Errorf("%s: got failed %v", want, v.Failed())
		}
	}
}
