package netsync_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/discovery"
	"github.com/gamelan-p2p/gamelan/internal/dht/netsync"
	"github.com/gamelan-p2p/gamelan/internal/protocol/frame"
	"github.com/gamelan-p2p/gamelan/internal/protocol/onecall"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// asking returns what a node that knows nobody asks for.
func asking(n int) netsync.Asking {
	return netsync.Asking{
		N:     n,
		Known: func(identity.PublicKey) (int64, bool) { return 0, false },
		Rules: discovery.Rules{Limits: protocol.DefaultLimits()},
	}
}

// banned returns the length of the ban that the error asks for.
func banned(err error) time.Duration {
	if v, ok := errors.AsType[*protocol.Violation](err); ok && v.Stage == "dht" {
		return v.Ban
	}
	return 0
}

// raw returns an item with these fields.
func raw(key []byte, claims ...wire.PeerClaim) []byte {
	p := wire.PeerInfo{Key: key, Claims: claims}
	return p.Append(nil)
}

// claimsOf returns the claims of an item.
func claimsOf(t testing.TB, item []byte) []wire.PeerClaim {
	t.Helper()
	p, err := wire.DecodePeerInfo(item)
	if err != nil {
		t.Fatal(err)
	}
	return p.Claims
}

// TestRecords reads one item.
//
// conforms: dht 117, 121; V 25
func TestRecords(t *testing.T) {
	good := func(list ...string) identity.Claim { return claimOf(t, 1, wall, addresses(t, list...)...) }
	key := secretOf(t, 1).PublicKey()
	changed := func(change func(*wire.PeerClaim)) []byte {
		c := claimsOf(t, item(good(public)))
		change(&c[0])
		return raw(key[:], c...)
	}
	older := claimOf(t, 1, wall.Add(-time.Hour), addresses(t, public)...)
	other := claimOf(t, 2, wall, addresses(t, public)...)
	for name, test := range map[string]struct {
		item   []byte
		known  int64 // date of the claim that the node has; 0: it does not know the peer
		self   bool
		want   netsync.Record
		closed bool // no test addresses matter: only with test addresses it is New
	}{
		"new":                        {item: item(good(public)), want: netsync.New},
		"newer":                      {item: item(good(public)), known: wall.Unix() - 1, want: netsync.Newer},
		"known":                      {item: item(good(public)), known: wall.Unix(), want: netsync.Known},
		"older":                      {item: item(good(public)), known: wall.Unix() + 1, want: netsync.Known},
		"known without a claim":      {item: item(good(public)), known: -1, want: netsync.Newer},
		"own":                        {item: item(good(public)), self: true, want: netsync.Own},
		"own, and bad":               {item: raw(key[:]), self: true, want: netsync.Own},
		"repeated claim":             {item: item(good(public), good(public), good(public)), want: netsync.New},
		"older claim last":           {item: item(good(public), older), want: netsync.New},
		"older claim first":          {item: item(older, good(public)), want: netsync.New},
		"five addresses":             {item: item(good(public, public, public, public, public)), want: netsync.New},
		"one of two usable":          {item: item(good(public, "/ip4/10.0.0.1/tcp/1")), want: netsync.New},
		"no claim":                   {item: raw(key[:]), want: netsync.Unusable},
		"no addresses":               {item: item(good()), want: netsync.Unusable},
		"private address":            {item: item(good("/ip4/10.0.0.1/tcp/1")), want: netsync.Unusable, closed: true},
		"loopback":                   {item: item(good("/ip4/127.0.0.1/tcp/1")), want: netsync.Unusable, closed: true},
		"unspecified":                {item: item(good("/ip4/0.0.0.0/tcp/1")), want: netsync.Unusable, closed: true},
		"memory":                     {item: item(good("/memory/1")), want: netsync.Unusable, closed: true},
		"no host name":               {item: item(good("/dns4/a_b.org/tcp/1")), want: netsync.Unusable},
		"address of another version": {item: item(claimOf(t, 1, wall, []byte{0xff, 0xff, 0x03})), want: netsync.Unusable},
		"features of another":        {item: changed(func(c *wire.PeerClaim) { c.Features = 8 }), want: netsync.Unusable},
		"signature of another":       {item: changed(func(c *wire.PeerClaim) { c.Signature.Version = 256 }), want: netsync.Unusable},
		"a day and more ahead":       {item: item(claimOf(t, 1, wall.Add(25*time.Hour), addresses(t, public)...)), want: netsync.Unusable},
		"before 1970":                {item: changed(func(c *wire.PeerClaim) { c.Signature.UpdatedAt = -1 }), want: netsync.Unusable},
		"ahead by less":              {item: item(claimOf(t, 1, wall.Add(23*time.Hour), addresses(t, public)...)), want: netsync.New},
		"of 1970":                    {item: item(claimOf(t, 1, time.Unix(1, 0), addresses(t, public)...)), want: netsync.New},
		"other address":              {item: changed(func(c *wire.PeerClaim) { c.Addresses = addresses(t, "/ip4/8.8.8.8/tcp/1") }), want: netsync.Bad},
		"other features":             {item: changed(func(c *wire.PeerClaim) { c.Features = 0 }), want: netsync.Bad},
		"other date":                 {item: changed(func(c *wire.PeerClaim) { c.Signature.UpdatedAt++ }), want: netsync.Bad},
		"another peer's claim":       {item: raw(key[:], claimsOf(t, item(other))...), want: netsync.Bad},
		"no signature":               {item: changed(func(c *wire.PeerClaim) { c.Signature = nil }), want: netsync.Bad},
		"short signature":            {item: changed(func(c *wire.PeerClaim) { c.Signature.S = c.Signature.S[1:] }), want: netsync.Bad},
		"no nonce":                   {item: changed(func(c *wire.PeerClaim) { c.Signature.Nonce = nil }), want: netsync.Bad},
		"six claims":                 {item: item(older, older, older, older, older, older), want: netsync.Bad},
		"six addresses":              {item: item(good(public, public, public, public, public, public)), want: netsync.Bad},
		"port 0":                     {item: item(good("/ip4/8.8.8.8/tcp/0")), want: netsync.Bad},
		"udp":                        {item: item(good("/ip4/8.8.8.8/udp/1")), want: netsync.Bad},
		"bad, and known":             {item: changed(func(c *wire.PeerClaim) { c.Features = 0 }), known: wall.Unix(), want: netsync.Known},
	} {
		for _, testAddresses := range []bool{false, true} {
			a := asking(500)
			a.Rules.TestAddresses = testAddresses
			a.Known = func(k identity.PublicKey) (int64, bool) { return test.known, test.known != 0 && k == key }
			if test.self {
				a.Self = key
			}
			r := netsync.NewReading(a)
			want := test.want
			if test.closed && testAddresses {
				want = netsync.New
			}
			b := append([]byte(nil), test.item...)
			c, got, err := r.Item(wall, b)
			if err != nil || got != want || r.Counts[want] != 1 {
				t.Errorf("%s, test addresses %v: got %v, %v, %v, want %v", name, testAddresses, got, r.Counts, err, want)
			}
			if stores := want == netsync.New || want == netsync.Newer; stores != (len(c.Addresses) > 0) {
				t.Errorf("%s: got claim %+v of a record that is %v", name, c, want)
			} else if stores {
				clear(b) // the payload belongs to the caller
				if err := c.Verify(wall); err != nil || c.Key != key || c.Signature.UpdatedAt == older.Signature.UpdatedAt {
					t.Errorf("%s: got a claim dated %d of %v: %v", name, c.Signature.UpdatedAt, c.Key, err)
				}
			}
		}
	}
}

// TestBadItems has a server send an item that no server sends by mistake, after two
// good ones, which count.
//
// conforms: dht 120; V 25
func TestBadItems(t *testing.T) {
	key := secretOf(t, 3).PublicKey()
	first := item(claimOf(t, 1, wall, addresses(t, public)...))
	second := item(claimOf(t, 2, wall, addresses(t, public)...))
	for name, test := range map[string]struct {
		item []byte
		n    int
		want error
	}{
		"fine":               {item(claimOf(t, 3, wall, addresses(t, public)...)), 3, nil},
		"one too many":       {item(claimOf(t, 3, wall, addresses(t, public)...)), 2, netsync.ErrTooManyPeers},
		"empty":              {nil, 3, netsync.ErrBadItem},
		"no peer":            {[]byte{0x10, 1}, 3, netsync.ErrBadItem},
		"empty peer":         {[]byte{0x0a, 0}, 3, netsync.ErrBadItem},
		"truncated":          {first[:len(first)-1], 3, netsync.ErrBadItem},
		"short key":          {raw(key[:31]), 3, netsync.ErrBadItem},
		"key that is none":   {raw([]byte(strings.Repeat("\xff", 32))), 3, netsync.ErrBadItem},
		"the second again":   {second, 3, netsync.ErrPeerTwice},
		"the first again":    {raw(bytesOf(claimOf(t, 1, wall).Key)), 3, netsync.ErrPeerTwice},
		"over the budget":    {overBudget(key), 3, netsync.ErrBadItem},
		"long, in budget":    {raw(key[:], wire.PeerClaim{Addresses: make([][]byte, 60_000)}), 3, nil},
		"our own, a 2nd one": {raw(key[:]), 3, nil},
	} {
		for _, connected := range []bool{false, true} {
			a := asking(test.n)
			a.Connected = connected
			r := netsync.NewReading(a)
			r.Opened()
			for _, b := range [][]byte{first, second} {
				if _, got, err := r.Item(wall, b); err != nil || got != netsync.New {
					t.Fatalf("%s: got %v, %v for a good item", name, got, err)
				}
			}
			_, _, err := r.Item(wall, test.item)
			if !errors.Is(err, test.want) || (err != nil) != (test.want != nil) {
				t.Errorf("%s: got %v, want %v", name, err, test.want)
			}
			if test.want == nil {
				continue
			}
			if got := banned(r.End(err)); got != protocol.BanLong {
				t.Errorf("%s, connected before: %v: got a ban of %v, want %v", name, connected, got, protocol.BanLong)
			}
			if n := r.Counts[netsync.New]; n != 2 {
				t.Errorf("%s: got %d new peers counted, want those before it", name, n)
			}
		}
	}
}

// overBudget returns an item with more claims than any decoder reads.
func overBudget(key identity.PublicKey) []byte {
	info := protowire.AppendBytes([]byte{0x0a}, key[:])
	for range wire.MaxPeerItems + 1 {
		info = append(info, 0x12, 0)
	}
	return protowire.AppendBytes([]byte{0x0a}, info)
}

// TestSixthBadRecord mixes records of every kind with bad ones.
//
// conforms: dht 120; V 25
func TestSixthBadRecord(t *testing.T) {
	forged := func(n int) []byte {
		c := claimOf(t, n, wall, addresses(t, public)...)
		c.Signature.UpdatedAt--
		return item(c)
	}
	malformed := func(n int) []byte { return item(claimOf(t, n, wall, addresses(t, "/ip4/8.8.8.8/tcp/0")...)) }
	r := netsync.NewReading(asking(500))
	n := 0
	read := func(make func(n int) []byte, want netsync.Record) {
		t.Helper()
		n++
		if _, got, err := r.Item(wall, make(n)); err != nil || got != want {
			t.Fatalf("item %d: got %v, %v, want %v", n, got, err, want)
		}
	}
	for i := range 5 {
		read([]func(int) []byte{forged, malformed}[i%2], netsync.Bad)
		for range 7 {
			read(func(n int) []byte { return item(claimOf(t, n, wall, addresses(t, "/ip4/10.0.0.1/tcp/1")...)) }, netsync.Unusable)
		}
		read(func(n int) []byte { return item(claimOf(t, n, wall, addresses(t, public)...)) }, netsync.New)
	}
	_, _, err := r.Item(wall, forged(n+1))
	if !errors.Is(err, netsync.ErrBadPeers) || banned(err) != protocol.BanLong {
		t.Errorf("the sixth: got %v, want a ban of %v", err, protocol.BanLong)
	}
}

// TestEnds has calls fail in every way.
//
// conforms: dht 120; V 18
func TestEnds(t *testing.T) {
	status := func(s rpc.Status) error { return rpc.Errorf(s, "why") }
	for name, test := range map[string]struct {
		err    error
		unborn bool // before the session was open
		want   time.Duration
	}{
		"complete":                   {},
		"bad request":                {err: status(rpc.BadRequest), want: protocol.BanMedium},
		"unsupported method":         {err: status(rpc.UnsupportedMethod), want: protocol.BanMedium},
		"general error":              {err: status(rpc.General), want: protocol.BanMedium},
		"status of another version":  {err: status(99), want: protocol.BanMedium},
		"busy":                       {err: status(netsync.Busy)},
		"server's deadline":          {err: status(rpc.Timeout)},
		"our deadline":               {err: fmt.Errorf("%w: %w", rpc.Timeout, context.DeadlineExceeded)},
		"stalled":                    {err: fmt.Errorf("%w: %w", rpc.Timeout, netsync.ErrStalled)},
		"given up":                   {err: context.Canceled},
		"no session left":            {err: &rpc.RejectedError{Reason: rpc.NoServerSessions}},
		"no session left, at once":   {err: &rpc.RejectedError{Reason: rpc.NoServerSessions}, unborn: true},
		"no such service":            {err: &rpc.RejectedError{Reason: rpc.ProtocolUnsupported}, unborn: true},
		"session lost":               {err: rpc.ErrSessionLost},
		"bad handshake":              {err: onecall.ErrUndecodable, unborn: true},
		"undecodable response":       {err: onecall.ErrUndecodable, want: protocol.BanLong},
		"too many chunks":            {err: fmt.Errorf("read: %w", onecall.ErrChunks), want: protocol.BanLong},
		"response to something else": {err: onecall.ErrRequestID, want: protocol.BanLong},
		"frame too long":             {err: frame.ErrTooLong, want: protocol.BanLong},
		"no connection":              {err: errors.New("unreachable"), unborn: true},
	} {
		for _, connected := range []bool{false, true} {
			a := asking(500)
			a.Connected = connected
			r := netsync.NewReading(a)
			if !test.unborn {
				r.Opened()
			}
			want := test.want
			if connected {
				want = 0
			}
			err := r.End(test.err)
			if got := banned(err); got != want || (err == nil) != (test.err == nil) || !errors.Is(err, test.err) {
				t.Errorf("%s, connected before: %v: got %v and a ban of %v, want %v", name, connected, err, got, want)
			}
		}
	}
}

// TestRequestOfRounds compares our requests with those of live nodes (spec: dht 10.1).
//
// conforms: dht 119
func TestRequestOfRounds(t *testing.T) {
	a := netsync.NewReading(asking(500)).Request(true)
	b := netsync.NewReading(asking(100)).Request(false)
	if got := fmt.Sprintf("%x %x", a.Append(nil), b.Append(nil)); got != "08f403100118052005 086418052005" {
		t.Errorf("got requests %s", got)
	}
}
