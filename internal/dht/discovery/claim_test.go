package discovery_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/discovery"
)

const (
	public  = "/ip4/8.8.8.8/tcp/18189"
	public2 = "/ip4/9.9.9.9/tcp/18189"
	onion   = "/onion3/vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd:1234"
)

// TestCheckOfAClaim has one claim in each case, by what its addresses are.
//
// conforms: dht 130, 132, 133
// conforms: V 4-6
func TestCheckOfAClaim(t *testing.T) {
	s := secretOf(t, 1)
	fine := addresses(t, public)[0]
	for name, c := range map[string]struct {
		addresses [][]byte
		strict    discovery.Fault // 0: stored
		lenient   discovery.Fault
	}{
		"a public one":         {[][]byte{fine}, 0, 0},
		"five":                 {slices.Repeat([][]byte{fine}, 5), 0, 0},
		"six":                  {slices.Repeat([][]byte{fine}, 6), discovery.BadCount, discovery.BadCount},
		"none":                 {nil, discovery.NoUsableAddress, discovery.NoUsableAddress},
		"loopback":             {addresses(t, "/ip4/127.0.0.1/tcp/1"), discovery.NoUsableAddress, 0},
		"private":              {addresses(t, "/ip4/10.1.2.3/tcp/1"), discovery.NoUsableAddress, 0},
		"unspecified":          {addresses(t, "/ip4/0.0.0.0/tcp/1"), discovery.NoUsableAddress, 0},
		"memory":               {addresses(t, "/memory/7"), discovery.NoUsableAddress, 0},
		"loopback and public":  {addresses(t, "/ip4/127.0.0.1/tcp/1", public), 0, 0},
		"DNS name":             {addresses(t, "/dns4/node.example.com/tcp/1"), 0, 0},
		"no host name":         {addresses(t, "/dns4/a_b.com/tcp/1"), discovery.NoUsableAddress, discovery.NoUsableAddress},
		"onion":                {addresses(t, onion), 0, 0},
		"onion checksum":       {[][]byte{changed(addresses(t, onion)[0], -4)}, discovery.BadAddress, discovery.BadAddress},
		"onion version":        {[][]byte{changed(addresses(t, onion)[0], -3)}, discovery.BadAddress, discovery.BadAddress},
		"port zero":            {addresses(t, "/ip4/8.8.8.8/tcp/0"), discovery.BadAddress, discovery.BadAddress},
		"trailing component":   {addresses(t, public+"/ws"), discovery.BadAddress, discovery.BadAddress},
		"/dns":                 {addresses(t, "/dns/node.example.com/tcp/1"), discovery.BadAddress, discovery.BadAddress},
		"bad one among good":   {addresses(t, public, "/ip4/8.8.8.8/tcp/0", public2), discovery.BadAddress, discovery.BadAddress},
		"an empty one":         {[][]byte{{}}, discovery.BadAddress, discovery.BadAddress},
		"bytes of no protocol": {[][]byte{{0xff, 0xff, 0x7f, 1}}, discovery.Unreadable, discovery.Unreadable},
	} {
		claim := claimOf(t, s, wall, c.addresses...)
		for rules, want := range map[*discovery.Rules]discovery.Fault{&strict: c.strict, &lenient: c.lenient} {
			got, err := rules.Check(s.PublicKey(), []identity.Claim{claim}, wall)
			checkFault(t, name, err, want)
			if err == nil && (got.Key != s.PublicKey() || len(got.Addresses) != len(c.addresses)) {
				t.Errorf("%s: got %d addresses of %v, want the claim as it was signed", name, len(got.Addresses), got.Key)
			}
		}
	}
}

// changed returns a with one bit of the byte changed that lies so far from the end.
func changed(a []byte, at int) []byte {
	a = slices.Clone(a)
	a[len(a)+at] ^= 1
	return a
}

// checkFault checks that err is a fault, nil for 0.
func checkFault(t *testing.T, name string, err error, want discovery.Fault) {
	t.Helper()
	var e *discovery.ClaimError
	switch {
	case err == nil && want != 0:
		t.Errorf("%s: got the claim, want it refused: %v", name, want)
	case err != nil && (!errors.As(err, &e) || e.Fault != want):
		t.Errorf("%s: got %v, want %v", name, err, want)
	case err != nil && !strings.Contains(err.Error(), want.String()):
		t.Errorf("%s: got the text %q, want it to say %q", name, err, want)
	}
}

// conforms: dht 131
func TestDateOfAClaim(t *testing.T) {
	s := secretOf(t, 1)
	for name, c := range map[string]struct {
		at   time.Time
		want discovery.Fault
	}{
		"a day ahead":          {wall.Add(24 * time.Hour), 0},
		"more than a day":      {wall.Add(24*time.Hour + time.Second), discovery.BadDate},
		"years ago":            {time.Unix(0, 0), 0},
		"before 1970":          {time.Unix(-1, 0), discovery.BadDate},
		"far before the epoch": {time.Unix(-1<<62, 0), discovery.BadDate},
	} {
		claim := claimOf(t, s, time.Unix(max(0, c.at.Unix()), 0), addresses(t, public)...)
		claim.Signature.UpdatedAt = c.at.Unix()
		_, err := strict.Check(s.PublicKey(), []identity.Claim{claim}, wall)
		checkFault(t, name, err, c.want)
	}
}

// TestSignatureOfAClaim: a claim is verified over all its addresses, usable or not.
//
// conforms: V 4
func TestSignatureOfAClaim(t *testing.T) {
	s, other := secretOf(t, 1), secretOf(t, 2)
	good := claimOf(t, s, wall, addresses(t, public, "/ip4/127.0.0.1/tcp/1")...)
	dropped, moved, forged := good, good, good
	dropped.Addresses = good.Addresses[:1]
	moved.Addresses = [][]byte{good.Addresses[1], good.Addresses[0]}
	forged.Key = other.PublicKey()
	for name, c := range map[string]struct {
		claim identity.Claim
		key   identity.PublicKey
		want  discovery.Fault
	}{
		"as signed":            {good, s.PublicKey(), 0},
		"usable ones only":     {dropped, s.PublicKey(), discovery.BadSignature},
		"another order":        {moved, s.PublicKey(), discovery.BadSignature},
		"under another key":    {forged, other.PublicKey(), discovery.BadSignature},
		"another peer's claim": {good, other.PublicKey(), discovery.BadSignature},
	} {
		_, err := strict.Check(c.key, []identity.Claim{c.claim}, wall)
		checkFault(t, name, err, c.want)
	}
}

// TestSeveralClaims: the newest claim with a usable address is stored, and one bad
// claim spoils the others.
//
// conforms: dht 130
func TestSeveralClaims(t *testing.T) {
	s := secretOf(t, 1)
	old := claimOf(t, s, wall.Add(-time.Hour), addresses(t, public)...)
	recent := claimOf(t, s, wall, addresses(t, public2)...)
	private := claimOf(t, s, wall.Add(time.Hour), addresses(t, "/ip4/10.0.0.1/tcp/1")...)
	bad := claimOf(t, s, wall, addresses(t, "/ip4/8.8.8.8/tcp/0")...)
	for name, c := range map[string]struct {
		claims []identity.Claim
		newest identity.Claim
		want   discovery.Fault
	}{
		"old one first":    {[]identity.Claim{old, recent}, recent, 0},
		"new one first":    {[]identity.Claim{recent, old}, recent, 0},
		"the same twice":   {[]identity.Claim{old, old}, old, 0},
		"newer, unusable":  {[]identity.Claim{private, old}, old, 0},
		"five":             {[]identity.Claim{old, old, recent, old, old}, recent, 0},
		"six":              {slices.Repeat([]identity.Claim{old}, 6), identity.Claim{}, discovery.BadCount},
		"none":             {nil, identity.Claim{}, discovery.BadCount},
		"only unusable":    {[]identity.Claim{private, private}, identity.Claim{}, discovery.NoUsableAddress},
		"bad one at last":  {[]identity.Claim{old, recent, bad}, identity.Claim{}, discovery.BadAddress},
		"bad one at first": {[]identity.Claim{bad, old, recent}, identity.Claim{}, discovery.BadAddress},
	} {
		got, err := strict.Check(s.PublicKey(), c.claims, wall)
		checkFault(t, name, err, c.want)
		if got.Signature != c.newest.Signature {
			t.Errorf("%s: got the claim of %d, want the one of %d", name, got.Signature.UpdatedAt, c.newest.Signature.UpdatedAt)
		}
	}
}

// TestOffences: for unusable and for unreadable claims nobody is to blame.
//
// conforms: V 5
func TestOffences(t *testing.T) {
	for f, want := range map[discovery.Fault]bool{
		discovery.Unreadable: false, discovery.BadCount: true, discovery.BadAddress: true,
		discovery.BadSignature: true, discovery.BadDate: true, discovery.NoUsableAddress: false,
	} {
		if f.Offence() != want {
			t.Errorf("%v: got offence %v, want %v", f, f.Offence(), want)
		}
	}
}

// TestAClaimIsACopy: what a message was read into may be used again.
func TestAClaimIsACopy(t *testing.T) {
	s := secretOf(t, 1)
	given := claimOf(t, s, wall, addresses(t, public)...)
	got, err := strict.Check(s.PublicKey(), []identity.Claim{given}, wall)
	if err != nil {
		t.Fatal(err)
	}
	clear(given.Addresses[0])
	if err := got.Verify(wall); err != nil {
		t.Errorf("got %v after the message was overwritten, want a claim of its own", err)
	}
}
