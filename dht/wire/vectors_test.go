package wire_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/gamelan-p2p/gamelan/dht/wire"
)

// conforms: dht 146
func TestRecordedSignedMessage(t *testing.T) {
	for _, v := range vectors(t, "signed-clear") {
		e := decode(t, v.bytes(t, "envelope"))
		binding := e.Binding()
		equalHex(t, v.name+": binding", binding[:], v.expect(t, "binding_hash"))
		origin, err := e.VerifyOrigin()
		if err != nil || origin.String() != v.expect(t, "signer") {
			t.Errorf("%s: got origin %v, %v", v.name, origin, err)
		}
		checkClear(t, v, e)
	}
}

// conforms: dht 146
func TestRecordedUnsignedMessage(t *testing.T) {
	for _, v := range vectors(t, "unsigned-clear") {
		e := decode(t, v.bytes(t, "envelope"))
		if origin, err := e.VerifyOrigin(); err != nil || !origin.IsZero() {
			t.Errorf("%s: got origin %v, %v, want none", v.name, origin, err)
		}
		checkClear(t, v, e)
	}
}

// checkClear checks a clear domain message of a recorded node, and that its
// bytes come out again.
func checkClear(t *testing.T, v vector, e wire.Envelope) {
	t.Helper()
	equalHex(t, v.name+": header", e.Header.Append(nil), v.expect(t, "header"))
	equalHex(t, v.name+": body", e.Body, v.expect(t, "body"))
	equal(t, v.name+": envelope", e.Append(nil), v.bytes(t, "envelope"))
	if got := e.DedupHash().String(); got != v.expect(t, "dedup_hash") {
		t.Errorf("%s: got dedup hash %s", v.name, got)
	}
	if now := v.now(t).Unix(); e.Header.Expires != uint64(now+10_800) || e.Header.Expired(now) {
		t.Errorf("%s: expires at %d, want three hours after %d", v.name, e.Header.Expires, now)
	}
	parts, err := wire.DecodeBody(e.Body)
	if err != nil {
		t.Fatal(err)
	}
	h, _, err := wire.SplitDomain(parts)
	if err != nil || h.Type != 1000 {
		t.Errorf("%s: got type %d, %v, want 1000", v.name, h.Type, err)
	}
}

// TestRecordedEncryptedMessage decrypts the messages of recorded nodes.
//
// conforms: dht 26, 146
func TestRecordedEncryptedMessage(t *testing.T) {
	for _, v := range vectors(t, "encrypted") {
		e := decode(t, v.bytes(t, "envelope"))
		binding := e.Binding()
		equalHex(t, v.name+": binding", binding[:], v.expect(t, "binding_hash"))
		equalHex(t, v.name+": header", e.Header.Append(nil), v.expect(t, "header"))
		equalHex(t, v.name+": ephemeral key", e.Header.Ephemeral, v.expect(t, "ephemeral_public"))
		if got := e.DedupHash().String(); got != v.expect(t, "dedup_hash") {
			t.Errorf("%s: got dedup hash %s", v.name, got)
		}
		if signer, err := e.VerifyOrigin(); err != nil || signer.String() != v.expect(t, "masked_signer") {
			t.Errorf("%s: got signer %v, %v", v.name, signer, err)
		}
		o := openFor(t, e, secretOf(t, v.input(t, "recipient_secret")))
		if o.Origin.String() != v.input(t, "sender_public") {
			t.Errorf("%s: got origin %v", v.name, o.Origin)
		}
		equalHex(t, v.name+": body", wire.AppendBody(nil, o.Parts...), v.expect(t, "envelope_body"))
	}
}

// conforms: dht 146
func TestRecordedDedupHash(t *testing.T) {
	for _, v := range vectors(t, "dedup") {
		got := wire.DedupHash(unhex(t, v.input(t, "signature")), unhex(t, v.input(t, "body")))
		if got.String() != v.expect(t, "dedup_hash") {
			t.Errorf("%s: got %v, want %s", v.name, got, v.expect(t, "dedup_hash"))
		}
	}
}

// conforms: dht 146
func TestRecordedJoin(t *testing.T) {
	for _, v := range vectors(t, "join") {
		e := decode(t, v.bytes(t, "envelope"))
		equal(t, v.name+": envelope", e.Append(nil), v.bytes(t, "envelope"))
		origin, err := e.VerifyOrigin()
		if err != nil || e.Header.Type != wire.TypeJoin || !e.Header.Destination.Is(origin) {
			t.Errorf("%s: got %v to %v from %v, %v", v.name, e.Header.Type, e.Header.Destination, origin, err)
		}
		a := announcement(t, v, e.Body)
		equalHex(t, v.name+": join", a.Append(nil), v.expect(t, "join_message"))
	}
}

// announcement returns the only part of a body, whose claim verifies.
func announcement(t *testing.T, v vector, body []byte) wire.Announcement {
	t.Helper()
	parts, err := wire.DecodeBody(body)
	if err != nil || len(parts) != 1 {
		t.Fatalf("%s: got %d parts, %v, want 1", v.name, len(parts), err)
	}
	a, err := wire.DecodeAnnouncement(parts[0])
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.Claim()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Verify(v.now(t)); err != nil {
		t.Errorf("%s: %v", v.name, err)
	}
	return a
}

// conforms: dht 146
func TestRecordedDiscovery(t *testing.T) {
	for _, v := range vectors(t, "discovery") {
		e := decode(t, v.bytes(t, "envelope"))
		o := openFor(t, e, secretOf(t, v.input(t, "target_secret")))
		if o.Origin.String() != v.input(t, "sender_public") || e.Header.Type != wire.TypeDiscovery {
			t.Errorf("%s: got %v from %v", v.name, e.Header.Type, o.Origin)
		}
		a := announcement(t, v, wire.AppendBody(nil, o.Parts...))
		equalHex(t, v.name+": discovery", a.Append(nil), v.expect(t, "discovery_message"))
		equal(t, v.name+": key", a.Key, o.Origin[:])
	}
	for _, v := range vectors(t, "discovery-response") {
		request := openFor(t, decode(t, v.bytes(t, "discovery_envelope")), secretOf(t, v.input(t, "sender_secret")))
		e := decode(t, v.bytes(t, "response_envelope"))
		equalHex(t, v.name+": header", e.Header.Append(nil), v.expect(t, "response_header"))
		origin, err := e.VerifyOrigin()
		if err != nil || origin.String() != v.input(t, "sender_public") || e.Header.Destination.Known {
			t.Errorf("%s: got origin %v to %v, %v", v.name, origin, e.Header.Destination, err)
		}
		asked := announcement(t, v, wire.AppendBody(nil, request.Parts...))
		if answer := announcement(t, v, e.Body); answer.Nonce != 777 || asked.Nonce != 777 {
			t.Errorf("%s: asked with nonce %d, got %d, want 777", v.name, asked.Nonce, answer.Nonce)
		}
	}
}

// TestRecordedRelays: we relay the same bytes as the recorded relay, and they
// verify at the next node.
//
// conforms: dht 16, 147
func TestRecordedRelays(t *testing.T) {
	for _, v := range vectors(t, "forwarded") {
		e := decode(t, v.bytes(t, "received_envelope"))
		relayed := e.Append(nil)
		equal(t, v.name+": relayed", relayed, v.bytes(t, "forwarded_envelope"))
		next := decode(t, relayed)
		o := openFor(t, next, secretOf(t, v.input(t, "recipient_secret")))
		if want := secretOf(t, v.input(t, "sender_secret")).PublicKey(); o.Origin != want {
			t.Errorf("%s: got origin %v, want %v", v.name, o.Origin, want)
		}
	}
}

// conforms: dht 147
func TestRecordedJoinWithUnknownField(t *testing.T) {
	for _, v := range vectors(t, "q4-join-reencoded") {
		e := decode(t, v.bytes(t, "received_envelope"))
		if _, err := e.VerifyOrigin(); err != nil {
			t.Errorf("%s: as received: %v", v.name, err)
		}
		again := decode(t, e.Append(nil))
		if _, err := again.VerifyOrigin(); err != nil {
			t.Errorf("%s: as we relay it: %v", v.name, err)
		}
		broken := decode(t, v.bytes(t, "relayed_envelope"))
		if _, err := broken.VerifyOrigin(); !errors.Is(err, wire.ErrSignature) {
			t.Errorf("%s: as the reference relays it: got %v, want a bad signature", v.name, err)
		}
	}
}

// conforms: dht 144, 146
func TestRecordedBadEphemeralKey(t *testing.T) {
	for _, v := range vectors(t, "q27-bad-ephemeral-key") {
		if _, err := wire.DecodeEnvelope(v.bytes(t, "envelope")); !errors.Is(err, wire.ErrEphemeralKey) {
			t.Errorf("%s: got %v, want a bad ephemeral key", v.name, err)
		}
	}
}

// conforms: dht 146
func TestRecordedStoredMessages(t *testing.T) {
	for _, v := range vectors(t, "saf") {
		e := decode(t, v.bytes(t, "request_envelope"))
		equal(t, v.name+": request", e.Append(nil), v.bytes(t, "request_envelope"))
		request, err := wire.DecodeStoredRequest(onlyPart(t, e.Body))
		if err != nil || request.RequestID != 4711 || request.Limit != 10 {
			t.Errorf("%s: got %+v, %v", v.name, request, err)
		}
		stored := v.Inputs["stored_envelopes"].([]any)
		r := storedResponse(t, v)
		if r.RequestID != 4711 || len(r.Messages) != len(stored) {
			t.Fatalf("%s: got %d messages to request %d, want %d", v.name, len(r.Messages), r.RequestID, len(stored))
		}
		for i, m := range r.Messages {
			back, err := m.Envelope()
			if err != nil {
				t.Fatal(err)
			}
			equalHex(t, v.name+": stored", back.Append(nil), stored[len(stored)-1-i].(string)) // newest first
			if o := openFor(t, back, secretOf(t, v.input(t, "requester_secret"))); o.Origin.String() != v.input(t, "sender_public") {
				t.Errorf("%s: got origin %v", v.name, o.Origin)
			}
			again := wire.NewStoredMessage(back, m.StoredAt)
			r.Messages[i] = again
		}
		equal(t, v.name+": response", wire.AppendBody(nil, r.Append(nil)), decode(t, v.bytes(t, "response_envelope")).Body)
	}
	for _, v := range vectors(t, "saf-empty") {
		if r := storedResponse(t, v); len(r.Messages) != 0 || r.RequestID != 9004 || r.Type != 0 {
			t.Errorf("%s: got %+v, want an empty answer to 9004", v.name, r)
		}
	}
	for _, v := range vectors(t, "saf-request") {
		e := decode(t, v.bytes(t, "envelope"))
		request, err := wire.DecodeStoredRequest(onlyPart(t, e.Body))
		if err != nil || float64(request.RequestID) != v.Expect["request_id"] || float64(request.Limit) != v.Expect["limit"] {
			t.Errorf("%s: got %+v, %v", v.name, request, err)
		}
		equalHex(t, v.name+": body", wire.AppendBody(nil, request.Append(nil)), v.expect(t, "body"))
	}
	for _, v := range vectors(t, "saf-response-accepted") {
		r := storedResponse(t, v)
		if len(r.Messages) != 2 {
			t.Errorf("%s: got %d messages, want 2", v.name, len(r.Messages))
		}
		for _, m := range r.Messages {
			back, err := m.Envelope()
			if err != nil {
				t.Fatal(err)
			}
			openFor(t, back, secretOf(t, v.input(t, "recipient_secret")))
		}
	}
}

func onlyPart(t testing.TB, body []byte) []byte {
	t.Helper()
	parts, err := wire.DecodeBody(body)
	if err != nil || len(parts) != 1 {
		t.Fatalf("got %d parts, %v, want 1", len(parts), err)
	}
	return parts[0]
}

func storedResponse(t testing.TB, v vector) wire.StoredResponse {
	t.Helper()
	e := decode(t, v.bytes(t, "response_envelope"))
	if e.Header.Type != wire.TypeStoredMessages {
		t.Errorf("%s: got %v", v.name, e.Header.Type)
	}
	r, err := wire.DecodeStoredResponse(onlyPart(t, e.Body))
	if err != nil {
		t.Fatalf("%s: %v", v.name, err)
	}
	return r
}

// conforms: dht 146
func TestRecordedPeerLists(t *testing.T) {
	for _, kind := range []string{"rpc-getpeers-served", "rpc-getpeers-called", "rpc-getcloserpeers-served"} {
		for _, v := range vectors(t, kind) {
			payload := frameField(t, v.bytes(t, "request"), 10)
			if kind == "rpc-getcloserpeers-served" {
				r, err := wire.DecodeGetCloserPeers(payload)
				if err != nil || r.MaxClaims == 0 || r.N == 0 {
					t.Errorf("%s: got %+v, %v", v.name, r, err)
				}
				equal(t, v.name+": request", r.Append(nil), payload)
			} else {
				r, err := wire.DecodeGetPeers(payload)
				if err != nil || (r.N == 10) != (kind == "rpc-getpeers-called") || !r.IncludeClients || r.MaxClaims != 5 || r.MaxAddressesPerClaim != 5 {
					t.Errorf("%s: got %+v, %v", v.name, r, err)
				}
				equal(t, v.name+": request", r.Append(nil), payload)
			}
			peers := 0
			for _, frame := range v.Bytes["responses"].([]any) {
				item := frameField(t, unhex(t, frame.(string)), 10)
				if item == nil {
					continue // the end of the stream
				}
				p, err := wire.DecodePeerInfo(item)
				if err != nil {
					t.Fatalf("%s: %v", v.name, err)
				}
				equal(t, v.name+": item", p.Append(nil), item)
				claims, err := p.SignedClaims()
				if err != nil || len(claims) == 0 {
					t.Fatalf("%s: got %d claims, %v", v.name, len(claims), err)
				}
				for _, c := range claims {
					if err := c.Verify(v.now(t)); err != nil {
						t.Errorf("%s: %v", v.name, err)
					}
				}
				equal(t, v.name+": made of its claims", infoOf(claims).Append(nil), item)
				peers++
			}
			if peers == 0 {
				t.Errorf("%s: got no peer", v.name)
			}
		}
	}
	for _, v := range vectors(t, "rpc-getcloserpeers-called") {
		payload := frameField(t, v.bytes(t, "request"), 10)
		r, err := wire.DecodeGetCloserPeers(payload)
		if err != nil || r.N != 3 || r.MaxClaims != 5 || r.MaxAddressesPerClaim != 5 || len(r.CloserTo) != 0 {
			t.Errorf("%s: got %+v, %v", v.name, r, err)
		}
		if !bytes.Equal(r.Append(nil), payload) {
			t.Errorf("%s: got %x, want %x", v.name, r.Append(nil), payload)
		}
	}
}
