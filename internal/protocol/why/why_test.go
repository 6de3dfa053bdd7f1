package why

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/frame"
	"github.com/gamelan-p2p/gamelan/internal/share"
	"github.com/gamelan-p2p/gamelan/protocol"
)

var (
	at    = ma.StringCast("/ip4/192.0.2.7/tcp/18189")
	whole = Answer{Since: time.Hour, Records: []Record{
		{Kind: Missed, Code: "dial_no_answer", Address: at, Count: 4, First: 20 * time.Minute, Last: time.Minute},
		{Kind: Refused, Code: "limit", Detail: "max_inbound_per_source is 32", Count: 1, First: time.Second, Last: time.Second},
	}}
)

func TestWire(t *testing.T) {
	if err := ReadAsk(bytes.NewReader(AppendAsk(nil))); err != nil {
		t.Errorf("a request: %v", err)
	}
	if err := ReadAsk(bytes.NewReader(frame.Append(nil, []byte("of a later release")))); err != nil {
		t.Errorf("a request of a later release: %v", err)
	}
	for _, a := range []Answer{{}, whole} {
		if got, err := ReadAnswer(bytes.NewReader(AppendAnswer(nil, a))); err != nil || !reflect.DeepEqual(got, a) {
			t.Errorf("got %v, %v, want %v", got, err, a)
		}
	}
	one := Answer{Since: 60 * time.Second, Records: []Record{{Kind: Came, Count: 2, First: 5 * time.Second}}}
	if got, want := fmt.Sprintf("%x", AppendAnswer(nil, one)), "0000000a"+"083c"+"1206"+"0801"+"2802"+"3005"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestWireRoom: what this node sends has room with every reader, whatever it remembers.
func TestWireRoom(t *testing.T) {
	long := Record{Kind: Missed, Code: strings.Repeat("c", 99), Detail: strings.Repeat("d\n", 200), Address: at, Count: 1, First: time.Hour, Last: time.Hour}
	a := Answer{Records: make([]Record, 3*MaxRecords)}
	for i := range a.Records {
		a.Records[i] = long
	}
	got, err := ReadAnswer(bytes.NewReader(AppendAnswer(nil, a)))
	if err != nil || len(got.Records) != MaxRecords || len(got.Records[0].Detail) != maxDetail || strings.Contains(got.Records[0].Detail, "\n") {
		t.Errorf("got %d records, %v", len(got.Records), err)
	}
}

// TestWireRefuses: what is no answer is refused, control characters of a peer are, and more records than there may be are skipped.
//
// conforms: V 44
func TestWireRefuses(t *testing.T) {
	record := func(inner string) string { return "\x12" + string(rune(len(inner))) + inner }
	for name, body := range map[string]string{
		"no field": "\xff", "half a record": "\x12\x05\x08", "a control character": record("\x12\x02a\n"), "no text": record("\x12\x02\xc3\xa4"),
		"a long code": record("\x12\x21" + strings.Repeat("a", 33)), "no address": record("\x22\x02\xff\xff"),
	} {
		if _, err := DecodeAnswer([]byte(body)); !errors.Is(err, ErrUndecodable) || !errors.Is(err, protocol.ErrViolation) {
			t.Errorf("%s: got %v, want %v", name, err, ErrUndecodable)
		}
	}
	if _, err := ReadAnswer(bytes.NewReader(frame.Append(nil, make([]byte, MaxBody+1)))); !errors.Is(err, ErrUndecodable) {
		t.Errorf("a long one: got %v, want %v", err, ErrUndecodable)
	}
	a, err := DecodeAnswer([]byte(record("\x08\x63\x28\x01") + strings.Repeat(record("\x08\x01\x28\x01"), MaxRecords+1)))
	if err != nil || len(a.Records) != MaxRecords || a.Records[0].Kind != Came {
		t.Errorf("got %d records, %v, want %d without the unknown one", len(a.Records), err, MaxRecords)
	}
}

func FuzzWhyAnswer(f *testing.F) {
	f.Add(AppendAnswer(nil, whole)[frame.HeaderLen:])
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := DecodeAnswer(body)
		if err != nil {
			return
		}
		again, err := ReadAnswer(bytes.NewReader(AppendAnswer(nil, a)))
		if err != nil || !reflect.DeepEqual(again, a) {
			t.Errorf("got %v, %v, want %v", again, err, a)
		}
	})
}

func nodeID(b byte) (id identity.NodeID) {
	id[0] = b
	return id
}

// TestLedger: equal things are counted, others have a line each, and all is forgotten after an hour.
//
// conforms: V 44
func TestLedger(t *testing.T) {
	now := time.Unix(1e9, 0)
	l := NewLedger(now)
	missed := Seen{Kind: Missed, Code: "dial_no_answer", Address: at}
	for range 3 {
		now = now.Add(time.Minute)
		l.Peer(now, nodeID(1), share.None, missed)
	}
	l.Source(now, 77, Seen{Kind: Refused, Code: "limit"})
	now = now.Add(time.Minute)
	l.Peer(now, nodeID(1), share.None, Seen{Kind: Came})
	l.Peer(now, nodeID(2), share.None, Seen{Kind: Came})
	got := l.Of(now, nodeID(1), 77)
	want := Answer{Since: 4 * time.Minute, Records: []Record{
		{Kind: Came, Count: 1},
		{Kind: Missed, Code: "dial_no_answer", Address: at, Count: 3, First: 3 * time.Minute, Last: time.Minute},
		{Kind: Refused, Code: "limit", Count: 1, First: time.Minute, Last: time.Minute},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, from := range []share.Source{share.None, share.Exempt} { // many share them
		l.Source(now, from, Seen{Kind: Refused, Code: "limit"})
		if got := l.Of(now, nodeID(3), from); len(got.Records) != 0 {
			t.Errorf("source %d: got %+v, want nothing", from, got)
		}
	}
	now = now.Add(Window)
	if got := l.Of(now, nodeID(1), 77); len(got.Records) != 0 || got.Since != Window {
		t.Errorf("an hour later: got %+v, want nothing", got)
	}
	l.Peer(now, nodeID(1), share.None, missed)
	if got := l.Of(now, nodeID(1), 0); len(got.Records) != 1 || got.Records[0].Count != 1 {
		t.Errorf("got %+v, want that it is counted anew", got)
	}
}

// TestLedgerIsBounded: neither ever new peers and sources nor ever new reasons make it grow.
func TestLedgerIsBounded(t *testing.T) {
	now := time.Unix(1e9, 0)
	l := NewLedger(now)
	for i := range 3 * mostPeers {
		l.Peer(now, identity.NodeID{byte(i), byte(i >> 8)}, share.None, Seen{Kind: Came})
		l.Source(now, share.Source(1000+i), Seen{Kind: Refused})
		l.Peer(now, nodeID(0xff), share.None, Seen{Kind: Missed, Code: fmt.Sprint(i)})
	}
	if l.peers.Len() > mostPeers || l.sources.Len() > mostSources {
		t.Errorf("got %d peers and %d sources", l.peers.Len(), l.sources.Len())
	}
	if got := l.Of(now, nodeID(0xff), 0); len(got.Records) > mostKinds {
		t.Errorf("got %d records of one peer, want at most %d", len(got.Records), mostKinds)
	}
}

// TestJoin: what two ends say together.
func TestJoin(t *testing.T) {
	record := func(k Kind, count uint32, first, last time.Duration) Record {
		return Record{Kind: k, Count: count, First: first, Last: last}
	}
	minutes := func(n int) time.Duration { return time.Duration(n) * time.Minute }
	missed := record(Missed, 4, minutes(20), minutes(2))
	missed.Code = CodeNoAnswer
	closed := missed // the port: the other end can have seen nothing
	closed.Code = "dial_refused"
	for name, test := range map[string]struct {
		ours, theirs Answer
		want         []Verdict
	}{
		"nothing":   {Answer{Since: time.Hour}, Answer{Since: time.Hour}, nil},
		"they came": {Answer{time.Hour, []Record{missed}}, Answer{time.Hour, []Record{record(Came, 4, minutes(20), minutes(2))}}, nil},
		"others came": {
			Answer{time.Hour, []Record{missed, record(Reached, 3, minutes(30), minutes(3))}},
			Answer{time.Hour, []Record{record(Came, 3, minutes(30), minutes(3))}},
			[]Verdict{Unseen},
		},
		"it is over":    {Answer{time.Hour, []Record{missed, record(Reached, 1, minutes(1), minutes(1))}}, Answer{time.Hour, []Record{record(Came, 1, minutes(1), minutes(1))}}, nil},
		"lost":          {Answer{time.Hour, []Record{missed}}, Answer{Since: time.Hour}, []Verdict{Unseen}},
		"closed":        {Answer{time.Hour, []Record{closed}}, Answer{Since: time.Hour}, nil},
		"not there yet": {Answer{time.Hour, []Record{missed}}, Answer{Since: minutes(1)}, nil},
		"refused":       {Answer{time.Hour, []Record{missed}}, Answer{time.Hour, []Record{record(Refused, 4, minutes(20), minutes(2))}}, []Verdict{RefusedThere}},
		"lost here":     {Answer{Since: time.Hour}, Answer{time.Hour, []Record{missed}}, []Verdict{UnseenHere}},
		"refused here":  {Answer{time.Hour, []Record{record(Refused, 1, 0, 0)}}, Answer{time.Hour, []Record{missed}}, []Verdict{RefusedHere}},
		"both ways": {
			Answer{time.Hour, []Record{missed}},
			Answer{time.Hour, []Record{missed, record(Ended, 1, 0, 0)}},
			[]Verdict{Unseen, UnseenHere, EndedThere},
		},
	} {
		var got []Verdict
		for _, f := range Join(test.ours, test.theirs) {
			got = append(got, f.Verdict)
		}
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: got %v, want %v", name, got, test.want)
		}
	}
	sum, _ := Answer{Records: []Record{record(Missed, 1, minutes(1), 0), record(Missed, 2, minutes(9), minutes(3))}}.sum(Missed)
	if !reflect.DeepEqual(sum, record(Missed, 3, minutes(9), 0)) {
		t.Errorf("got %+v, want the sum", sum)
	}
	other := Record{Kind: Missed, Address: ma.StringCast("/ip4/192.0.2.8/tcp/1"), Count: 1<<32 - 1}
	if sum, _ := (Answer{Records: []Record{whole.Records[0], other}}).sum(Missed); sum.Count != 1<<32-1 || sum.Address != nil {
		t.Errorf("got %+v, want the greatest number, and no address", sum)
	}
}

// TestLedgerShares: ever new keys of one source make it forget no peer of another one.
func TestLedgerShares(t *testing.T) {
	now := time.Unix(1e9, 0)
	l := NewLedger(now)
	const from, honest share.Source = 1 << 33, 1<<33 + 1
	l.Peer(now, nodeID(0xfe), honest, Seen{Kind: Refused, Code: CodeLimit})
	l.Peer(now, nodeID(0xff), share.None, Seen{Kind: Missed, Code: CodeNoAnswer})
	for i := range 3 * mostPeers {
		now = now.Add(time.Millisecond)
		l.Peer(now, identity.NodeID{1, byte(i), byte(i >> 8)}, from, Seen{Kind: Came})
	}
	if l.peers.Len() > mostPeers {
		t.Errorf("got %d peers", l.peers.Len())
	}
	for _, id := range []identity.NodeID{nodeID(0xfe), nodeID(0xff)} {
		if got := l.Of(now, id, 0); len(got.Records) != 1 {
			t.Errorf("got %+v of %v, want what was remembered", got, id)
		}
	}
	l.Peer(now, nodeID(0xfd), honest+1, Seen{Kind: Came})
	if got := l.Of(now, nodeID(0xfd), 0); len(got.Records) != 1 {
		t.Errorf("got %+v, want a newcomer of another source remembered", got)
	}
	now = now.Add(Window)
	l.Peer(now, identity.NodeID{2}, from, Seen{Kind: Came})
	if got := l.Of(now, identity.NodeID{2}, 0); len(got.Records) != 1 || l.peers.Len() > mostPeers {
		t.Errorf("got %+v of %d an hour later, want it remembered", got, l.peers.Len())
	}
}
