package discovery_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/discovery"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// The numbers of the nodes in the tests of received messages.
const (
	ourselves = 1 // the receiver
	author    = 2
	relay     = 3 // sent the message to us
	stranger  = 4
	sought    = 5 // the peer that nonce 55 searches for
	found     = 2 // the peer that nonce 22 searches for: the author
)

// receiver returns one that bans these peers.
func receiver(t testing.TB, banned ...byte) *discovery.Receiver {
	var bans []identity.PublicKey
	for _, b := range banned {
		bans = append(bans, secretOf(t, b).PublicKey())
	}
	asked := map[uint64]identity.PublicKey{22: secretOf(t, found).PublicKey(), 55: secretOf(t, sought).PublicKey()}
	return &discovery.Receiver{
		Rules: strict, Key: secretOf(t, ourselves).PublicKey(),
		Banned: func(key identity.PublicKey) bool { return slices.Contains(bans, key) },
		Asked:  func(nonce uint64) (identity.PublicKey, bool) { key, ok := asked[nonce]; return key, ok },
	}
}

// message describes a received message: a well-formed one of the author, from the relay,
// but for what is set.
type message struct {
	kind   wire.MessageType
	origin byte // 0 is the author
	source byte // 0 is the relay
	nobody bool // not signed
	to     byte // destination; 0 is unknown
	nonce  uint64
	parts  [][]byte // in place of the announcement
	edit   func(*wire.Announcement)
	claims []string // addresses; nil is one public
	dated  time.Duration
	banned []byte
}

func (m message) incoming(t testing.TB) *dht.Incoming {
	t.Helper()
	if m.origin == 0 {
		m.origin = author
	}
	if m.source == 0 {
		m.source = relay
	}
	if m.claims == nil {
		m.claims = []string{public}
	}
	signer := secretOf(t, m.origin)
	a := wire.NewAnnouncement(claimOf(t, signer, wall.Add(m.dated), addresses(t, m.claims...)...), m.nonce)
	if m.edit != nil {
		m.edit(&a)
	}
	key := secretOf(t, m.source).PublicKey()
	in := &dht.Incoming{Now: wall, Wall: wall, Source: key.NodeID(), Key: key, Parts: [][]byte{a.Append(nil)}}
	if m.parts != nil {
		in.Parts = m.parts
	}
	if !m.nobody {
		in.Origin = signer.PublicKey()
	}
	in.Envelope.Header.Type = m.kind
	if m.to != 0 {
		in.Envelope.Header.Destination = wire.To(secretOf(t, m.to).PublicKey())
	}
	return in
}

// decide returns the verdict on a message.
func decide(r *discovery.Receiver, m *dht.Incoming) discovery.Verdict {
	switch m.Envelope.Header.Type {
	case wire.TypeJoin:
		return r.Join(m)
	case wire.TypeDiscovery:
		return r.Discovery(m)
	}
	return r.Response(m)
}

// describe returns the verdict in one line.
func describe(v discovery.Verdict) string {
	out := v.Outcome.String()
	for who, violation := range map[string]*protocol.Violation{"source": v.Source, "origin": v.Origin} {
		if violation != nil {
			out += fmt.Sprintf("; ban %s %s", who, violation.Ban)
		}
	}
	if v.Store != nil {
		out += "; store"
	}
	if v.Relay != nil {
		out += "; relay"
	}
	if v.Reply {
		out += fmt.Sprintf("; reply %d", v.Nonce)
	}
	if v.Pending {
		out += fmt.Sprintf("; ends search %d", v.Nonce)
	}
	return out
}

func checkVerdicts(t *testing.T, kind wire.MessageType, cases map[string]struct {
	m    message
	want string
},
) {
	t.Helper()
	for name, c := range cases {
		c.m.kind = kind
		v := decide(receiver(t, c.m.banned...), c.m.incoming(t))
		if got := describe(v); got != c.want {
			t.Errorf("%s: got %q, want %q (%v)", name, got, c.want, v.Err)
		}
		if (v.Err == nil) != (v.Store != nil) {
			t.Errorf("%s: got error %v and a claim %v, want one of them", name, v.Err, v.Store != nil)
		}
	}
}

// Edits of an announcement that make it something else than a claim.
var noClaims = map[string]func(*wire.Announcement){
	"unknown features":    func(a *wire.Announcement) { a.Features = 1 << 20 },
	"no claim signature":  func(a *wire.Announcement) { a.Signature = nil },
	"signature version":   func(a *wire.Announcement) { a.Signature.Version = 256 },
	"nonce is no point":   func(a *wire.Announcement) { a.Signature.Nonce = slices.Repeat([]byte{0xff}, 32) },
	"scalar not reduced":  func(a *wire.Announcement) { a.Signature.S = slices.Repeat([]byte{0xff}, 32) },
	"address undecodable": func(a *wire.Announcement) { a.Addresses = [][]byte{{0xff, 0xff, 0x7f}} },
}

func forged(a *wire.Announcement) { a.Signature.UpdatedAt-- }

// badPort is an address that no claim may have.
const badPort = "/ip4/8.8.8.8/tcp/0"

// TestReceivedJoin has each row of what a received Join leads to.
//
// conforms: dht 78-81, 130-132
// conforms: V 4, 5, 20
func TestReceivedJoin(t *testing.T) {
	type row = struct {
		m    message
		want string
	}
	six := slices.Repeat([]string{public}, 6)
	large := wire.Announcement{Key: make([]byte, 32), Addresses: slices.Repeat([][]byte{{4, 1, 1, 1, 1, 6, 0, 1}}, 1025)}
	cases := map[string]row{
		"relayed":                  {message{to: author}, "accepted; store; relay"},
		"directly from its author": {message{to: author, source: author}, "accepted; store; relay"},
		"to nobody in particular":  {message{}, "accepted; store; relay"},
		"to us":                    {message{to: ourselves}, "accepted; store"},
		"of a banned peer":         {message{to: author, banned: []byte{author}}, "from a banned peer; store"},
		"through a banned relay":   {message{to: author, banned: []byte{relay}}, "accepted; store; relay"},
		"not signed":               {message{nobody: true}, "not signed; ban source 10m0s"},
		"our own":                  {message{origin: ourselves}, "our own"},
		"without a part":           {message{parts: [][]byte{}}, "undecodable; ban origin 2h0m0s"},
		"undecodable":              {message{parts: [][]byte{{0xff}}}, "undecodable; ban origin 2h0m0s"},
		"1025 addresses":           {message{parts: [][]byte{large.Append(nil)}}, "undecodable; ban origin 2h0m0s"},
		"of another key": {message{edit: func(a *wire.Announcement) {
			key := secretOf(t, stranger).PublicKey()
			a.Key = key[:]
		}}, "about another peer; ban origin 2h0m0s"},
		"another peer's claim": {message{edit: func(a *wire.Announcement) {
			*a = wire.NewAnnouncement(claimOf(t, secretOf(t, stranger), wall, addresses(t, public)...), 0)
		}}, "about another peer; ban origin 2h0m0s"},
		"six addresses":      {message{claims: six}, "bad claim; ban origin 10m0s"},
		"malformed address":  {message{claims: []string{badPort}}, "bad claim; ban origin 10m0s"},
		"bad signature":      {message{edit: forged}, "bad claim; ban origin 10m0s"},
		"dated ahead":        {message{dated: 25 * time.Hour}, "bad claim; ban origin 10m0s"},
		"no address":         {message{claims: []string{}}, "no usable address"},
		"no usable address":  {message{claims: []string{"/ip4/127.0.0.1/tcp/1", "/dns4/a_b.com/tcp/1"}}, "no usable address"},
		"one usable address": {message{to: author, claims: []string{"/ip4/127.0.0.1/tcp/1", public}}, "accepted; store; relay"},
	}
	for name, edit := range noClaims {
		cases[name] = row{message{edit: edit}, "no claim"}
	}
	checkVerdicts(t, wire.TypeJoin, cases)

	v := decide(receiver(t), message{kind: wire.TypeJoin, to: author}.incoming(t))
	joiner := secretOf(t, author).PublicKey()
	to, ok := v.Relay.(dht.Propagate)
	if want := []identity.NodeID{joiner.NodeID(), secretOf(t, relay).PublicKey().NodeID()}; !ok || to.To != joiner || !slices.Equal(to.Exclude, want) {
		t.Errorf("got a relay by %v, want to the joiner's neighbours, without joiner and source", v.Relay)
	}
}

// TestReceivedDiscovery has each row of what a received Discovery leads to.
//
// conforms: dht 84-86
// conforms: V 5
func TestReceivedDiscovery(t *testing.T) {
	type row = struct {
		m    message
		want string
	}
	cases := map[string]row{
		"for us":           {message{to: ourselves, nonce: 7}, "accepted; store; reply 7"},
		"in clear":         {message{nonce: 7}, "accepted; store; reply 7"},
		"nonce zero":       {message{}, "accepted; store; reply 0"},
		"of a banned peer": {message{banned: []byte{author}, nonce: 7}, "from a banned peer; store"},
		"not signed":       {message{nobody: true}, "not signed; ban source 10m0s"},
		"our own":          {message{origin: ourselves}, "our own"},
		"without a part":   {message{parts: [][]byte{}}, "undecodable; ban origin 2h0m0s"},
		"undecodable":      {message{parts: [][]byte{{0xff}}}, "undecodable; ban origin 2h0m0s"},
		"another peer's": {message{edit: func(a *wire.Announcement) {
			*a = wire.NewAnnouncement(claimOf(t, secretOf(t, stranger), wall, addresses(t, public)...), 7)
		}}, "about another peer; ban origin 2h0m0s"},
		"malformed address": {message{claims: []string{badPort}}, "bad claim"},
		"bad signature":     {message{edit: forged}, "bad claim"},
		"dated ahead":       {message{dated: 25 * time.Hour}, "bad claim"},
		"no usable address": {message{claims: []string{"/ip4/10.0.0.1/tcp/1"}}, "no usable address"},
	}
	for name, edit := range noClaims {
		cases[name] = row{message{edit: edit}, "no claim; ban origin 2h0m0s"}
	}
	checkVerdicts(t, wire.TypeDiscovery, cases)
}

// TestReceivedResponse has each row of what a received DiscoveryResponse leads to. The
// relay (3) is who passes a response on; the sought (5) is never banned for another's.
//
// conforms: dht 87-89
// conforms: V 5
func TestReceivedResponse(t *testing.T) {
	type row = struct {
		m    message
		want string
	}
	cases := map[string]row{
		"asked for":             {message{source: author, nonce: 22}, "accepted; store; ends search 22"},
		"not asked for":         {message{source: author, nonce: 1}, "not asked for"},
		"in place of another":   {message{source: author, nonce: 55}, "from another peer than was searched for; ban origin 10m0s"},
		"relayed":               {message{source: relay, nonce: 22}, "relayed by another peer; ban source 2h0m0s"},
		"of the sought, stolen": {message{origin: sought, source: relay, nonce: 55}, "relayed by another peer; ban source 2h0m0s"},
		"not signed":            {message{nobody: true, source: author}, "not signed; ban source 10m0s"},
		"our own":               {message{origin: ourselves}, "our own"},
		"without a part":        {message{parts: [][]byte{}, source: author}, "undecodable; ban origin 2h0m0s"},
		"undecodable":           {message{parts: [][]byte{{0xff}}, source: author}, "undecodable; ban origin 2h0m0s"},
		"with the sought's claim": {message{source: author, edit: func(a *wire.Announcement) {
			*a = wire.NewAnnouncement(claimOf(t, secretOf(t, sought), wall, addresses(t, public)...), 55)
		}}, "about another peer; ban origin 2h0m0s"},
		"malformed address": {message{source: author, nonce: 22, claims: []string{badPort}}, "bad claim; ban origin 2h0m0s; ends search 22"},
		"bad signature":     {message{source: author, nonce: 22, edit: forged}, "bad claim; ban origin 2h0m0s; ends search 22"},
		"dated ahead":       {message{source: author, nonce: 22, dated: 25 * time.Hour}, "bad claim; ban origin 2h0m0s; ends search 22"},
		"no usable address": {message{source: author, nonce: 22, claims: []string{}}, "no usable address; ends search 22"},
	}
	for name, edit := range noClaims {
		cases[name] = row{message{source: author, nonce: 22, edit: edit}, "no claim; ends search 22"}
	}
	checkVerdicts(t, wire.TypeDiscoveryResponse, cases)
}

// recorded is a message of another implementation.
type recorded struct {
	name   string
	Bytes  map[string]any
	Inputs struct {
		Time      int64  `json:"unix_time"`
		Sender    string `json:"sender_public"`
		Target    string `json:"target_secret"`    // of a Discovery
		Requester string `json:"requester_secret"` // of a response
	}
}

// recordings returns the messages of a kind, one of each release.
func recordings(t *testing.T, kind string) (list []recorded) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("..", "..", "..", "tests", "vectors", "dht", kind+"-[0-9]*.json"))
	if err != nil || len(names) != 3 {
		t.Fatalf("%s: got files %q, %v, want one of each release", kind, names, err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		v := recorded{name: filepath.Base(name)}
		if err := json.Unmarshal(b, &v); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		list = append(list, v)
	}
	return list
}

// TestRecordedMessages takes messages that nodes of the three releases have written
// through the inbound chain: their loopback addresses are usable only where test
// addresses are.
//
// conforms: dht 78, 84, 87
func TestRecordedMessages(t *testing.T) {
	for kind, want := range map[string]map[bool]string{
		"join":               {true: "accepted; store; relay", false: "no usable address"},
		"discovery":          {true: "accepted; store; reply", false: "no usable address"},
		"discovery-response": {true: "accepted; store; ends search", false: "no usable address; ends search"},
	} {
		for _, v := range recordings(t, kind) {
			for test, want := range want {
				got := v.verdict(t, test)
				text := describe(got)
				if !strings.HasPrefix(text, want) {
					t.Errorf("%s: got %q, want %q (%v)", v.name, text, want, got.Err)
				}
			}
		}
	}
}

// verdict returns what a recorded message leads to, at the time when it was written.
func (v recorded) verdict(t *testing.T, test bool) discovery.Verdict {
	t.Helper()
	us := secretOf(t, ourselves)
	if secret := cmp.Or(v.Inputs.Target, v.Inputs.Requester); secret != "" {
		var err error
		if us, err = identity.SecretFromBytes(unhex(t, secret)); err != nil {
			t.Fatal(err)
		}
	}
	sender, err := identity.PublicKeyFromBytes(unhex(t, v.Inputs.Sender))
	if err != nil {
		t.Fatal(err)
	}
	body, ok := v.Bytes["envelope"].(string)
	if !ok {
		body = v.Bytes["response_envelope"].(string)
	}
	at := time.Unix(v.Inputs.Time, 0)
	in := dht.NewInbound(dht.InboundOptions{
		Secret: us, Features: identity.FeatureNode, Dedup: dht.NewDedup(0),
		Known: func(identity.NodeID) bool { return true },
	})
	m, verdict := in.Handle(wall, at, dht.Frame{Source: sender.NodeID(), Key: sender, Body: unhex(t, body)})
	if verdict.Reason != dht.Handled {
		t.Fatalf("%s: the chain ended with %v, %v", v.name, verdict.Reason, verdict.Err)
	}
	r := receiver(t)
	r.Key, r.TestAddresses = us.PublicKey(), test
	r.Asked = func(uint64) (identity.PublicKey, bool) { return sender, true }
	return decide(r, m)
}

// FuzzReceived: no part of a message makes a verdict panic, or lets a claim of somebody
// else than the author be stored.
func FuzzReceived(f *testing.F) {
	for _, kind := range []wire.MessageType{wire.TypeJoin, wire.TypeDiscovery, wire.TypeDiscoveryResponse} {
		in := message{kind: kind, source: author, nonce: 22}.incoming(f)
		f.Add(int32(kind), in.Parts[0])
		f.Add(int32(kind), []byte{})
	}
	r := receiver(f)
	f.Fuzz(func(t *testing.T, kind int32, part []byte) {
		in := message{kind: wire.MessageType(kind), source: author, parts: [][]byte{part}}.incoming(t)
		v := decide(r, in)
		if v.Outcome == 0 || v.Outcome.String() == fmt.Sprintf("outcome %d", v.Outcome) {
			t.Errorf("got outcome %v", v.Outcome)
		}
		if v.Store != nil && (v.Store.Key != in.Origin || v.Store.Verify(wall) != nil) {
			t.Errorf("got the claim of %v to store, want one that %v has signed", v.Store.Key, in.Origin)
		}
		if v.Store == nil && (v.Relay != nil || v.Reply) {
			t.Errorf("got %s, want a message without a stored claim to have no effect", describe(v))
		}
	})
}
