package peerstore

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/protocol"
)

const (
	a1 = "/ip4/1.1.1.1/tcp/1"
	a2 = "/ip4/2.2.2.2/tcp/2"
	a3 = "/ip4/3.3.3.3/tcp/3"
	a4 = "/ip4/4.4.4.4/tcp/4"
)

// TestLongerBanKeepsItsReason: of two bans the longer one stays, with its own reason or none, whichever comes first.
func TestLongerBanKeepsItsReason(t *testing.T) {
	for _, long := range []string{"", "long"} {
		for _, short := range []string{"", "short"} {
			for _, longFirst := range []bool{true, false} {
				s := open(t, kv.Memory(), Options{})
				bans := []Peer{
					{Key: key(1), BannedUntil: begin.Add(time.Hour), BannedAt: begin, BanReason: long},
					{Key: key(1), BannedUntil: begin.Add(time.Minute), BannedAt: begin.Add(time.Second), BanReason: short},
				}
				if !longFirst {
					slices.Reverse(bans)
				}
				add(t, s, begin, bans[0])
				got := add(t, s, begin, bans[1])
				if !got.BannedUntil.Equal(begin.Add(time.Hour)) || !got.BannedAt.Equal(begin) || got.BanReason != long {
					t.Errorf("%q and %q, the longer first: %v: got until %v, since %v, %q, want the longer ban", long, short, longFirst, got.BannedUntil, got.BannedAt, got.BanReason)
				}
			}
		}
	}
}

// conforms: comms 129
func TestAddMerges(t *testing.T) {
	s := open(t, kv.Memory(), Options{})
	k := key(1)
	first := Peer{
		Key: k, Features: identity.FeatureNode, Flags: FlagSeed, UserAgent: "old/1",
		Protocols: []protocol.ID{"t/a"}, AddedAt: begin, BannedUntil: begin.Add(time.Hour), BanReason: "first",
		Addresses: []Address{{Addr: addr(a1), LastSeen: begin, LastAttempted: begin.Add(time.Minute), Attempts: 3, LastFailure: "refused", Latency: Average{time.Second, 5}}},
	}
	add(t, s, begin, first)
	got := add(t, s, begin.Add(time.Hour), Peer{
		Key: k, Features: identity.FeatureNone, AddedAt: begin.Add(-time.Hour), BannedUntil: begin.Add(time.Minute),
		Addresses: []Address{
			{Addr: addr(a1), LastSeen: begin.Add(2 * time.Minute), LastAttempted: begin.Add(2 * time.Minute), Attempts: 1, DialTime: Average{time.Second, 1}, Latency: Average{time.Minute, 4}},
			{Addr: addr(a2)},
		},
	})
	want := Peer{
		Key: k, ID: k.NodeID(), Features: identity.FeatureNone, UserAgent: "old/1",
		Protocols: []protocol.ID{"t/a"}, AddedAt: begin.Add(-time.Hour), BannedUntil: begin.Add(time.Hour), BanReason: "first",
	}
	if got.Features != want.Features || got.Flags != 0 || got.UserAgent != want.UserAgent || !slices.Equal(got.Protocols, want.Protocols) {
		t.Errorf("got %v %v %q %v, want the new features and flags, the old agent and protocols", got.Features, got.Flags, got.UserAgent, got.Protocols)
	}
	if !got.AddedAt.Equal(want.AddedAt) || !got.BannedUntil.Equal(want.BannedUntil) || got.BanReason != want.BanReason {
		t.Errorf("got added %v, ban %v %q, want the earlier and the longer", got.AddedAt, got.BannedUntil, got.BanReason)
	}
	wantTexts(t, "merged", got, a1, a2)
	a := got.Addresses[0]
	if !a.LastSeen.Equal(begin.Add(2*time.Minute)) || !a.LastAttempted.Equal(begin.Add(2*time.Minute)) || a.Attempts != 3 || a.LastFailure != "" ||
		a.DialTime != (Average{time.Second, 1}) || a.Latency != (Average{time.Second, 5}) {
		t.Errorf("got %+v, want later times, more attempts, newer failure, averages with more samples", a)
	}
	got = add(t, s, begin, Peer{Key: k, Features: identity.FeatureNode, UserAgent: "new/2", Protocols: []protocol.ID{"t/b", "t/c"}, BanReason: "second", BannedUntil: begin.Add(2 * time.Hour)})
	if got.UserAgent != "new/2" || !slices.Equal(got.Protocols, []protocol.ID{"t/b", "t/c"}) || got.BanReason != "second" || !got.BannedUntil.Equal(begin.Add(2*time.Hour)) {
		t.Errorf("got %+v, want the new agent, protocols and ban", got)
	}
	if s.View().Len() != 1 {
		t.Errorf("got %d records, want 1", s.View().Len())
	}
}

// conforms: V 11
func TestNewerClaimReplacesSignedAddresses(t *testing.T) {
	s := open(t, kv.Memory(), Options{})
	k := key(1)
	add(t, s, begin, Peer{Key: k, Features: identity.FeatureNode, Addresses: []Address{{Addr: addr(a4), Source: Config}}})
	add(t, s, begin, FromClaim(claim(k, 10, a1, a2, a4), Discovery))
	s.Seen(begin, k.NodeID(), addr(a2), 50*time.Millisecond)
	s.DialFailed(begin, k.NodeID(), addr(a1), "refused")

	got := add(t, s, begin, FromClaim(claim(k, 11, a2, a3), PeerConnection))
	wantTexts(t, "newer", got, a2, a4, a3)
	if a := got.Addresses[0]; a.Latency.Count != 1 || !a.LastSeen.Equal(begin) || a.Source != PeerConnection {
		t.Errorf("got %+v, want its statistics kept and the newer source", a)
	}
	if a := got.Addresses[1]; a.Source != Config {
		t.Errorf("got source %v of a configured address that was claimed too, want config", a.Source)
	}
	if got.Claim.Signature.UpdatedAt != begin.Unix()+11 {
		t.Errorf("got claim of %d, want the newer", got.Claim.Signature.UpdatedAt)
	}

	old := FromClaim(claim(k, 10, a1, a2), AnotherPeer)
	old.Features, old.UserAgent, old.Protocols = 0, "old/0", []protocol.ID{"t/old"}
	old.Addresses[1].LastSeen = begin.Add(time.Hour)
	got = add(t, s, begin, old)
	wantTexts(t, "older", got, a2, a4, a3)
	if a := got.Addresses[0]; !a.LastSeen.Equal(begin.Add(time.Hour)) || a.Source != PeerConnection {
		t.Errorf("got %+v, want its statistics merged and nothing else", a)
	}
	if got.Features != identity.FeatureNode || got.UserAgent != "" || got.Protocols != nil || got.Claim.Signature.UpdatedAt != begin.Unix()+11 {
		t.Errorf("got %+v, want an older claim to change statistics only", got)
	}

	again := FromClaim(claim(k, 11, a2, a3), PeerConnection)
	again.Protocols = []protocol.ID{"t/new"}
	got = add(t, s, begin, again)
	wantTexts(t, "the same again", got, a2, a4, a3)
	if !slices.Equal(got.Protocols, []protocol.ID{"t/new"}) {
		t.Errorf("got protocols %v, want those heard last", got.Protocols)
	}
	got = add(t, s, begin, FromClaim(claim(k, 11, a1), AnotherPeer)) // dated the same, so not strictly newer
	if find(got.Addresses, addr(a3)) < 0 || len(got.Claim.Addresses) != 2 {
		t.Errorf("got %v, want the addresses of a claim of the same second to stay", texts(got))
	}
	again.Protocols = nil
	if got = add(t, s, begin, again); len(got.Protocols) != 1 {
		t.Errorf("got protocols %v, want an empty list to replace nothing", got.Protocols)
	}
}

func TestClaimKeepsOurFlags(t *testing.T) {
	s := open(t, kv.Memory(), Options{})
	k := key(1)
	add(t, s, begin, Peer{Key: k, Flags: FlagSeed, Addresses: []Address{{Addr: addr(a1)}}})
	if got := add(t, s, begin, FromClaim(claim(k, 1, a2), PeerConnection)); got.Flags != FlagSeed {
		t.Errorf("got flags %d after a claim, want still a seed", got.Flags)
	}
}

// TestRepeatedAddressesBecomeOne, with all that is known of them; those behind
// them stay.
func TestRepeatedAddressesBecomeOne(t *testing.T) {
	s := open(t, kv.Memory(), Options{})
	got := add(t, s, begin, Peer{Key: key(1), Addresses: []Address{
		{Addr: addr(a1), Source: Discovery, LastSeen: begin},
		{Addr: addr(a1), Source: Discovery, LastAttempted: begin.Add(time.Second), LastFailure: "refused"},
		{Addr: addr(a2), Source: Discovery},
	}})
	wantTexts(t, "kept", got, a2, a1) // the one that failed comes last
	a := got.Addresses[find(got.Addresses, addr(a1))]
	if !a.LastSeen.Equal(begin) || !a.LastAttempted.Equal(begin.Add(time.Second)) || a.LastFailure != "refused" {
		t.Errorf("got %+v, want what both entries say", a)
	}
}

// TestClaimsAreBounded: what no identity message may hold is not stored either,
// and the claim then goes as a whole, for its signature covers all of it.
func TestClaimsAreBounded(t *testing.T) {
	for name, c := range map[string]struct {
		addresses, length int
		kept              bool
	}{
		"at both limits":      {maxClaimAddresses, maxAddressLen, true},
		"an address too many": {maxClaimAddresses + 1, 10, false},
		"a byte too many":     {2, maxAddressLen + 1, false},
	} {
		p := FromClaim(claim(key(1), 1, a1), PeerConnection)
		for len(p.Claim.Addresses) < c.addresses {
			p.Claim.Addresses = append(p.Claim.Addresses, make([]byte, c.length))
		}
		got := clean(p, false)
		if (got.Claim != nil) != c.kept {
			t.Errorf("%s: got claim %v, want it kept: %v", name, got.Claim, c.kept)
		}
		if len(got.Addresses) != 1 {
			t.Errorf("%s: got %d addresses, want the usable one to stay", name, len(got.Addresses))
		}
	}
}

// conforms: V 4
func TestClaimedLocalAddressesAreLeftOut(t *testing.T) {
	local := []string{"/ip4/127.0.0.1/tcp/1", "/ip4/10.1.2.3/tcp/1", "/ip4/0.0.0.0/tcp/1", "/memory/7", "/dns4/localhost/tcp/1", "/ip6/fe80::1/tcp/1"}
	c := claim(key(1), 1, append(local, a1)...)
	for _, tests := range []bool{false, true} {
		s := open(t, kv.Memory(), Options{TestAddresses: tests})
		p := Peer{Key: c.Key, Features: c.Features, Claim: &c}
		for _, b := range c.Addresses {
			p.Addresses = append(p.Addresses, Address{Addr: mustBytes(t, b), Source: JoinMessage})
		}
		got := add(t, s, begin, p)
		if !tests {
			wantTexts(t, "public", got, a1)
		} else if len(got.Addresses) != len(local)+1 {
			t.Errorf("got %v, want every address with test addresses on", texts(got))
		}
		if got.Claim == nil || len(got.Claim.Addresses) != len(local)+1 {
			t.Errorf("got claim %v, want it whole: its signature covers every address", got.Claim)
		}
	}
	s := open(t, kv.Memory(), Options{})
	got := add(t, s, begin, Peer{Key: key(2), Addresses: []Address{{Addr: addr("/ip4/127.0.0.1/tcp/1")}, {Addr: addr("/ip4/1.2.3.4/udp/1")}}})
	wantTexts(t, "configured: well formed is enough", got, "/ip4/127.0.0.1/tcp/1")
}

// conforms: V 5
func TestClaimWithoutUsableAddressKeepsTheEarlierOnes(t *testing.T) {
	s := open(t, kv.Memory(), Options{})
	k := key(1)
	add(t, s, begin, FromClaim(claim(k, 1, a1), PeerConnection))
	for sec, c := range []identity.Claim{claim(k, 2), claim(k, 3, "/ip4/127.0.0.1/tcp/1")} {
		got := add(t, s, begin, FromClaim(c, PeerConnection))
		wantTexts(t, "kept", got, a1)
		if got.Claim.Signature.UpdatedAt != begin.Unix()+1 {
			t.Errorf("got claim of %d s, want the last one with a usable address, not %d", got.Claim.Signature.UpdatedAt-begin.Unix(), sec+2)
		}
	}
	got := add(t, s, begin, FromClaim(claim(key(2), 1), PeerConnection))
	if got.Claim != nil || len(got.Addresses) != 0 {
		t.Errorf("got %+v, want a peer without claim and addresses", got)
	}
	if _, ok := s.View().ByKey(key(2)); !ok {
		t.Error("got no record of a peer without addresses, want one")
	}
}

// conforms: comms 59, V 10
func TestOnlyTheDialledAddressIsSeen(t *testing.T) {
	s := open(t, kv.Memory(), Options{})
	k := key(1)
	got := add(t, s, begin, FromClaim(claim(k, 1, a1, a2), PeerConnection)) // inbound
	if !got.LastSeen().IsZero() {
		t.Errorf("got seen at %v after an inbound connection, want never", got.LastSeen())
	}
	if !s.Seen(begin, k.NodeID(), addr(a2), 50*time.Millisecond) {
		t.Fatal("got false, want the address known")
	}
	got = get(t, s, k.NodeID())
	wantTexts(t, "seen first", got, a2, a1)
	if !got.Addresses[0].LastSeen.Equal(begin) || !got.Addresses[1].LastSeen.IsZero() {
		t.Errorf("got %+v, want the dialled address seen and no other", got.Addresses)
	}
	if s.Seen(begin, k.NodeID(), addr(a3), 0) || s.Seen(begin, key(2).NodeID(), addr(a1), 0) {
		t.Error("got true for an unknown address or peer, want false")
	}
}

func TestDialStatistics(t *testing.T) {
	s := open(t, kv.Memory(), Options{})
	k := key(1)
	id := k.NodeID()
	add(t, s, begin, FromClaim(claim(k, 1, a1, a2), PeerConnection))
	s.DialFailed(begin, id, addr(a1), "dial tcp: refused\x1b[31m"+strings.Repeat("é", 300))
	s.DialFailed(begin.Add(time.Second), id, addr(a1), "")
	p := get(t, s, id)
	a := p.Addresses[find(p.Addresses, addr(a1))]
	if a.Attempts != 2 || a.LastFailure != "failed" || !a.LastAttempted.Equal(begin.Add(time.Second)) {
		t.Errorf("got %+v, want two failed attempts, the last without a reason", a)
	}
	s.DialFailed(begin, id, addr(a2), "x\x1b[31m"+strings.Repeat("é", 300))
	p = get(t, s, id)
	if got := p.Addresses[find(p.Addresses, addr(a2))].LastFailure; !strings.HasPrefix(got, "x [31mé") || len(got) > 256 || strings.ContainsRune(got, '�') {
		t.Errorf("got reason %q, want it printable and at most 256 bytes", got)
	}
	if !p.Offline() {
		t.Error("got online, want offline: every address failed")
	}
	s.DialTook(begin, id, addr(a1), time.Second)
	p = get(t, s, id)
	if a := p.Addresses[find(p.Addresses, addr(a1))]; a.DialTime != (Average{time.Second, 1}) || !a.LastSeen.Equal(begin) {
		t.Errorf("got %+v, want the sample and a sign of life", a)
	}
}

func TestRecordsHandedOutDoNotChange(t *testing.T) {
	s := open(t, kv.Memory(), Options{})
	k := key(1)
	given := FromClaim(claim(k, 1, a1, a2), PeerConnection)
	before := add(t, s, begin, given)
	given.Addresses[0].Addr = addr(a4) // the caller's slice is not the store's
	s.Seen(begin, k.NodeID(), addr(a2), 0)
	add(t, s, begin, FromClaim(claim(k, 2, a3), PeerConnection))
	wantTexts(t, "record from before", before, a1, a2)
	if !before.Addresses[1].LastSeen.IsZero() {
		t.Error("got statistics changed in a record from before, want none")
	}
	c := before.Clone()
	c.Addresses[0].Attempts, c.Claim.Addresses[0][0] = 9, 0xff
	if before.Addresses[0].Attempts != 0 || before.Claim.Addresses[0][0] == 0xff {
		t.Error("got a change through a clone, want none")
	}
}
