package upgrade

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/identify"
	"github.com/gamelan-p2p/gamelan/internal/transport/noise"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

type recordedIdentity struct {
	Addresses []string
	Features  uint32
	R         string   `json:"signature_R"`
	S         string   `json:"signature_s"`
	Version   uint8    `json:"signature_version"`
	Protocols []string `json:"supported_protocols"`
	UpdatedAt int64    `json:"updated_at"`
	UserAgent string   `json:"user_agent"`
}

type recordedBytes struct {
	From string
	Hex  string
}

type recordedSession struct {
	Inputs struct {
		WireByte  string `json:"network_wire_byte"`
		Ephemeral string `json:"our_ephemeral_private"`
		Static    string `json:"our_static_private"`
		Remote    string `json:"rust_static_public"`
	}
	Bytes struct {
		Order []recordedBytes
	}
	Expect struct {
		Ours   recordedIdentity `json:"our_identity"`
		Theirs recordedIdentity `json:"rust_identity"`
		Plain  []recordedBytes  `json:"plaintext_order"`
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatalf("bad hex in test: %v", err)
	}
	return b
}

func (r recordedIdentity) message(t *testing.T, key identity.PublicKey) identify.Message {
	t.Helper()
	m := identify.Message{
		Claim: identity.Claim{
			Key: key, Features: identity.Features(r.Features),
			Signature: identity.Signature{Version: r.Version, Nonce: [32]byte(unhex(t, r.R)), S: [32]byte(unhex(t, r.S)), UpdatedAt: r.UpdatedAt},
		},
		UserAgent: r.UserAgent,
	}
	for _, a := range r.Addresses {
		m.Claim.Addresses = append(m.Claim.Addresses, unhex(t, a))
	}
	for _, p := range r.Protocols {
		m.Protocols = append(m.Protocols, protocol.ID(p))
	}
	return m
}

// The set-up of each recorded connection, and the answer to the ping with
// which the node of 6.2.0 or 1.7 starts yamux: its bytes go in as recorded,
// ours come out byte for byte.
//
// conforms: comms 21, 31
func TestRecordedSessions(t *testing.T) {
	for _, direction := range []protocol.Direction{protocol.Outbound, protocol.Inbound} {
		for _, release := range []string{"6.2.0", "1.7.0-pre.3", "1.0.0-rc.5"} {
			t.Run(direction.String()+" "+release, func(t *testing.T) {
				bubble(t, func(t *testing.T) { replay(t, direction, release) })
			})
		}
	}
}

func replay(t *testing.T, direction protocol.Direction, release string) {
	role := map[protocol.Direction]string{protocol.Outbound: "initiator", protocol.Inbound: "responder"}[direction]
	data, err := os.ReadFile(filepath.Join("../../../tests/vectors/comms/session-" + role + "-" + release + ".json"))
	if err != nil {
		t.Fatal(err)
	}
	var v recordedSession
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	theirs, ours := v.setUp(t)

	secret, err := identity.ParseSecret(v.Inputs.Static)
	if err != nil {
		t.Fatal(err)
	}
	remote, err := identity.ParsePublicKey(v.Inputs.Remote)
	if err != nil {
		t.Fatal(err)
	}
	profile := tari()
	profile.WireByte = unhex(t, v.Inputs.WireByte)[0]
	cfg := Config{
		Profile: profile,
		Secret:  secret,
		Local:   func() identify.Message { return v.Expect.Ours.message(t, secret.PublicKey()) },
		Now:     func() time.Time { return time.Unix(v.Expect.Theirs.UpdatedAt, 0) },
		// A canonical scalar with zeros behind is its own reduction.
		Random: io.MultiReader(bytes.NewReader(unhex(t, v.Inputs.Ephemeral)), bytes.NewReader(make([]byte, 32))),
	}

	x, y := sockets(t, memory.Link{})
	ourEnd, theirEnd := x, y
	var done <-chan outcome
	if direction == protocol.Inbound {
		ourEnd, theirEnd = y, x
		done = inbound(t, ourEnd, cfg)
	} else {
		done = outbound(t, ourEnd, cfg, remote)
	}
	if _, err := theirEnd.Write(theirs); err != nil {
		t.Fatal(err)
	}
	o := <-done
	if o.err != nil {
		t.Fatal(o.err)
	}
	defer o.r.Session.Close()
	synctest.Wait() // the ping is answered
	got := make([]byte, len(ours)+1000)
	n, err := theirEnd.Read(got)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got[:n], ours) {
		t.Errorf("what was written:\ngot  %x\nwant %x", got[:n], ours)
	}
	if o.r.Peer != remote {
		t.Errorf("peer: got %s, want %s", o.r.Peer, remote)
	}
	want := v.Expect.Theirs.message(t, remote)
	m := o.r.Message
	if m.UserAgent != want.UserAgent || m.Claim.Features != want.Claim.Features || m.Claim.Signature != want.Claim.Signature ||
		len(m.Protocols) != len(want.Protocols) || len(m.Claim.Addresses) != len(want.Claim.Addresses) || !bytes.Equal(m.Claim.Addresses[0], want.Claim.Addresses[0]) {
		t.Errorf("message:\ngot  %+v\nwant %+v", m, want)
	}
}

// setUp returns the recorded bytes of each side up to the end of the identity
// exchange, and the ping and pong behind it if there are any.
func (v recordedSession) setUp(t *testing.T) (theirs, ours []byte) {
	t.Helper()
	const identities, ping, pong = 1, "00020001", "00020002"
	frames := map[string]int{} // of plaintext, by side
	seen := map[string]int{}
	for _, p := range v.Expect.Plain {
		n := seen[p.From]
		seen[p.From]++
		if n < identities || n == identities && (p.From == "rust" && strings.HasPrefix(p.Hex, ping) || p.From == "go" && strings.HasPrefix(p.Hex, pong)) {
			frames[p.From]++
		}
	}
	// Before its plaintext the dialer sends the wire byte and messages 1 and 3,
	// the listener message 2.
	left := map[string]int{"go": frames["go"] + 3, "rust": frames["rust"] + 1}
	if v.Bytes.Order[0].From == "rust" {
		left = map[string]int{"go": frames["go"] + 1, "rust": frames["rust"] + 3}
	}
	for _, b := range v.Bytes.Order {
		if left[b.From] == 0 {
			continue
		}
		left[b.From]--
		if b.From == "go" {
			ours = append(ours, unhex(t, b.Hex)...)
		} else {
			theirs = append(theirs, unhex(t, b.Hex)...)
		}
	}
	return theirs, ours
}

// A recorded dialer played again is refused at message 3.
func TestReplayedDialer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		data, err := os.ReadFile("../../../tests/vectors/comms/session-responder-6.2.0.json")
		if err != nil {
			t.Fatal(err)
		}
		var v recordedSession
		if err := json.Unmarshal(data, &v); err != nil {
			t.Fatal(err)
		}
		theirs, _ := v.setUp(t)
		cfg := config(t, tari())
		if cfg.Secret, err = identity.ParseSecret(v.Inputs.Static); err != nil {
			t.Fatal(err)
		}
		x, y := sockets(t, memory.Link{})
		done := inbound(t, y, cfg)
		x.Write(theirs)
		wantError(t, <-done, StageNoise, noise.ErrHandshake, 0)
	})
}

// Bytes that no node sends, up to message 3.
func TestBadHandshake(t *testing.T) {
	good := newSecret(t).PublicKey()
	for _, c := range []struct {
		name  string
		bytes []byte
		stage Stage
		cause error
	}{
		{"nothing", nil, StageWire, ErrHungUp},
		{"wire byte only", []byte{0x10}, StageNoise, ErrHungUp},
		{"truncated message 1", append([]byte{0x10, 0, 32}, good[:31]...), StageNoise, ErrHungUp},
		{"oversized message 1", append([]byte{0x10, 0xff, 0xff}, make([]byte, 65535)...), StageNoise, noise.ErrPayload},
		{"short message 1", []byte{0x10, 0, 3, 1, 2, 3}, StageNoise, noise.ErrLength},
		{"identity element", append([]byte{0x10, 0, 32}, make([]byte, 32)...), StageNoise, noise.ErrBadKey},
		{"not canonical", append([]byte{0x10, 0, 32}, bytes.Repeat([]byte{0xff}, 32)...), StageNoise, noise.ErrBadKey},
		{"random message 3", append(append([]byte{0x10, 0, 32}, good[:]...), append([]byte{0, 64}, bytes.Repeat([]byte{7}, 64)...)...), StageNoise, noise.ErrHandshake},
		{"truncated message 3", append(append([]byte{0x10, 0, 32}, good[:]...), 0, 64, 1), StageNoise, ErrHungUp},
		{"http", []byte("GET / HTTP/1.1\r\n\r\n"), StageWire, ErrWrongWireByte},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				x, y := sockets(t, memory.Link{Buffer: 1 << 20})
				done := inbound(t, y, config(t, tari()))
				x.Write(c.bytes)
				x.(*memory.Conn).CloseWrite()
				wantError(t, <-done, c.stage, c.cause, 0)
			})
		})
	}
}
