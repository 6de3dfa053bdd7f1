package peerstore

import (
	"net/netip"
	"testing"
)

func TestOriginIsTheSourceOfALimit(t *testing.T) {
	for _, c := range []struct {
		source, want string
	}{
		{"8.8.8.8/32", "8.8.8.8/32"},
		{"0.0.0.0/32", "0.0.0.0/32"},
		{"2606:4700:1:2::/64", "2606:4700:1:2::/64"},
		{"0:1::/64", "exempt"}, // no public one: its number would be that of an IPv4 address
		{"", "exempt"},
	} {
		var source netip.Prefix
		if c.source != "" {
			source = netip.MustParsePrefix(c.source)
		}
		if got := OriginOf(source); got.String() != c.want {
			t.Errorf("%s: got %s, want %s", c.source, got, c.want)
		}
	}
	if got := Origin(0); got.String() != "none" {
		t.Errorf("got %s, want none", got)
	}
}

// TestRecordOfAnOrigin: a record that says where it came from reads back, also
// with a ban, and one that does not is as it was before there were any.
func TestRecordOfAnOrigin(t *testing.T) {
	origin := OriginOf(netip.MustParsePrefix("2606:4700:1:2::/64"))
	for _, c := range []struct {
		p       Peer
		version byte
	}{
		{Peer{}, recordVersion},
		{Peer{BannedUntil: begin, BannedAt: begin}, recordVersionBan},
		{Peer{Origin: origin}, recordVersionOrigin},
		{Peer{Origin: ExemptOrigin, BannedUntil: begin, BannedAt: begin, BanReason: "bad"}, recordVersionBoth},
	} {
		c.p.Key, c.p.ID, c.p.AddedAt = key(1), key(1).NodeID(), begin
		b := appendRecord(nil, &c.p)
		got, err := decodeRecord(b, c.p.ID, newShared())
		if err != nil || b[0] != c.version || got.Origin != c.p.Origin || !got.BannedAt.Equal(c.p.BannedAt) || got.BanReason != c.p.BanReason {
			t.Errorf("got %+v in version %d, %v, want %+v in version %d", got, b[0], err, c.p, c.version)
		}
	}
	plain := appendRecord(nil, &Peer{Key: key(1), ID: key(1).NodeID(), AddedAt: begin})
	plain[0] = recordVersionOrigin // the next number is 0: no reason
	if _, err := decodeRecord(plain, key(1).NodeID(), newShared()); err == nil {
		t.Error("got a record that is of version 3 and has no origin, want an error")
	}
}
