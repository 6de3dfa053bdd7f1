package dht_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestComposeOnce sends sealed messages to several peers: the copies of one are
// the same bytes, two sends share nothing.
//
// conforms: dht 11, 23-24, 63
func TestComposeOnce(t *testing.T) {
	d := newDesk(t, villagers, nil)
	bob := repeated(t, 9)
	m := dht.Message{To: dht.Broadcast{}, Destination: bob.PublicKey(), Encrypt: true, Type: 4711, Body: []byte("hello")}
	var sent []wire.Envelope
	for range 3 {
		before := d.drawn.n
		id := d.send(m)
		if got := d.drawn.n - before; got != 128 {
			t.Errorf("got %d random bytes drawn for one send, want 64 for its key and 64 for its signature", got)
		}
		if got := to(d.writes); got != "abcd" {
			t.Fatalf("got copies for %q, want abcd", got)
		}
		for _, w := range d.writes[1:] {
			equal(t, "another copy", w.Frame, d.writes[0].Frame)
		}
		e := decode(t, d.writes[0].Frame)
		if got, want := e.Header.Expires, uint64(d.now.Add(3*time.Hour).Unix()); got != want {
			t.Errorf("expires: got %d, want %d", got, want)
		}
		if r := d.report(id); r.Tag != e.Header.Tag || r.Destination != m.Destination || len(r.Copies) != 4 {
			t.Errorf("got a report with tag %d, to %v, of %d copies, want %d, %v, 4", r.Tag, r.Destination, len(r.Copies), e.Header.Tag, m.Destination)
		}
		o := openFor(t, e, bob)
		h, body, err := wire.SplitDomain(o.Parts)
		if err != nil || h.Type != 4711 || h.Nonce != 0 || string(body) != "hello" || o.Origin != d.secret.PublicKey() {
			t.Errorf("got %+v, %q, from %v, %v", h, body, o.Origin, err)
		}
		sent = append(sent, e)
		d.now = d.now.Add(time.Second)
	}
	for i, a := range sent {
		for _, b := range sent[:i] {
			switch {
			case a.Header.Tag == b.Header.Tag, bytes.Equal(a.Header.Ephemeral, b.Header.Ephemeral),
				bytes.Equal(a.Header.Signature, b.Header.Signature), bytes.Equal(a.Body, b.Body):
				t.Error("two sends have the same tag, key, signature or ciphertext")
			}
		}
	}
}

// TestClear sends clear messages by each strategy: nonces, signatures, tags,
// expiries.
//
// conforms: dht 11, 20, 62
func TestClear(t *testing.T) {
	for _, c := range []struct {
		to     dht.Strategy
		direct bool
	}{
		{dht.Direct{Peer: idOf("a")}, true},
		{dht.DirectKey{Key: keyOf("a")}, true},
		{dht.Flood{}, false},
		{dht.Random{N: 2}, false},
		{dht.Closest{To: idOf("c")}, false},
		{dht.DirectOrClosest{To: idOf("a")}, false},
		{dht.Broadcast{}, false},
		{dht.Selected{Peers: []identity.NodeID{idOf("a")}}, false},
		{dht.Propagate{}, false},
	} {
		d := newDesk(t, villagers, nil)
		var first wire.Envelope
		for i := range 2 {
			d.send(dht.Message{To: c.to, Type: -3, Body: []byte("x"), Expires: time.Hour})
			e := decode(t, d.writes[0].Frame)
			h, body := domainOf(t, e)
			switch {
			case h.Type != -3 || string(body) != "x":
				t.Errorf("%T: got %+v %q", c.to, h, body)
			case len(e.Header.Signature) != 0 || e.Header.Encrypted() || e.Header.Destination.Known:
				t.Errorf("%T: got %+v, want it clear, unsigned, for anybody", c.to, e.Header)
			case e.Header.Expires != uint64(d.now.Add(time.Hour).Unix()):
				t.Errorf("%T: got expiry %d, want that of the message", c.to, e.Header.Expires)
			case c.direct != (h.Nonce > 0):
				t.Errorf("%T: got nonce %d", c.to, h.Nonce)
			}
			if i == 0 {
				first = e
				continue
			}
			if got := bytes.Equal(e.Body, first.Body); got == c.direct {
				t.Errorf("%T: got equal bodies %v for equal messages, want %v", c.to, got, !c.direct)
			}
			if got := e.DedupHash() == first.DedupHash(); got == c.direct {
				t.Errorf("%T: got one hash %v for equal messages, want %v", c.to, got, !c.direct)
			}
		}
		if d.drawn.n != 0 {
			t.Errorf("%T: got %d random bytes drawn for keys, want 0", c.to, d.drawn.n)
		}

		d.send(dht.Message{To: c.to, Sign: true, Tag: 77, Expires: -1})
		e := decode(t, d.writes[0].Frame)
		signer, err := e.VerifyOrigin()
		if err != nil || signer != d.secret.PublicKey() || e.Header.Tag != 77 {
			t.Errorf("%T: got signer %v, tag %d, %v, want our own key, 77", c.to, signer, e.Header.Tag, err)
		}
		if e.Header.Expires != uint64(d.now.Add(3*time.Hour).Unix()) {
			t.Errorf("%T: got expiry %d, want the default", c.to, e.Header.Expires)
		}
	}
}

// TestDestination checks the destination in the header.
func TestDestination(t *testing.T) {
	bob, eve := repeated(t, 9).PublicKey(), repeated(t, 8).PublicKey()
	for name, c := range map[string]struct {
		m    dht.Message
		want identity.PublicKey // zero: nobody in particular
	}{
		"by key, clear":          {dht.Message{To: dht.DirectKey{Key: bob}}, identity.PublicKey{}},
		"by key, sealed":         {dht.Message{To: dht.DirectKey{Key: bob}, Encrypt: true}, bob},
		"by key, for another":    {dht.Message{To: dht.DirectKey{Key: bob}, Destination: eve}, eve},
		"sealed for another":     {dht.Message{To: dht.DirectKey{Key: bob}, Destination: eve, Encrypt: true}, eve},
		"propagate":              {dht.Message{To: dht.Propagate{To: bob}}, bob},
		"propagate, sealed":      {dht.Message{To: dht.Propagate{To: bob}, Encrypt: true}, bob},
		"propagate to anybody":   {dht.Message{To: dht.Propagate{}}, identity.PublicKey{}},
		"propagate, for another": {dht.Message{To: dht.Propagate{To: bob}, Destination: eve}, eve},
		"broadcast for somebody": {dht.Message{To: dht.Broadcast{}, Destination: bob}, bob},
		"broadcast":              {dht.Message{To: dht.Broadcast{}}, identity.PublicKey{}},
		"clear, addressed to us": {dht.Message{To: dht.Broadcast{}, Destination: repeated(t, 1).PublicKey()}, repeated(t, 1).PublicKey()},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, villagers, nil)
			d.view.keys[bob] = "a"
			id := d.send(c.m)
			if len(d.writes) == 0 {
				t.Fatalf("got nothing written: %v", d.report(id).Err)
			}
			e := decode(t, d.writes[0].Frame)
			if d := e.Header.Destination; d.Key != c.want || d.Known == c.want.IsZero() || e.Header.Encrypted() != c.m.Encrypt {
				t.Errorf("got %v, encrypted %v, want %v, %v", e.Header.Destination, e.Header.Encrypted(), c.want, c.m.Encrypt)
			}
			if got := d.report(id).Destination; got != c.want {
				t.Errorf("report: got %v, want %v", got, c.want)
			}
		})
	}
}

// strange is no strategy of the package's, but holds one.
type strange struct{ dht.Flood }

// TestSentToNobody has a row for every reason why a message goes to nobody. Not a
// byte leaves, and what was to be secret is nowhere.
//
// conforms: dht 61, 64
func TestSentToNobody(t *testing.T) {
	us, bob := repeated(t, 1).PublicKey(), repeated(t, 9).PublicKey()
	var bad identity.PublicKey
	bad[0] = 1 // no point
	for name, c := range map[string]struct {
		lines string
		m     dht.Message
		want  dht.SendReason
	}{
		"to our id":                {villagers, dht.Message{To: dht.Direct{Peer: us.NodeID()}}, dht.ToOurselves},
		"to our key":               {villagers, dht.Message{To: dht.DirectKey{Key: us}}, dht.ToOurselves},
		"to our key, with search":  {villagers, dht.Message{To: dht.DirectKey{Key: us, Discover: true}}, dht.ToOurselves},
		"sealed for ourselves":     {villagers, dht.Message{To: dht.Broadcast{}, Destination: us, Encrypt: true}, dht.ToOurselves},
		"propagated to us, sealed": {villagers, dht.Message{To: dht.Propagate{To: us}, Encrypt: true}, dht.ToOurselves},
		"unknown id":               {villagers, dht.Message{To: dht.Direct{Peer: idOf("z")}}, dht.NobodySelected},
		"unknown key":              {villagers, dht.Message{To: dht.DirectKey{Key: bob}}, dht.NobodySelected},
		"banned":                   {villagers, dht.Message{To: dht.Direct{Peer: idOf("i")}}, dht.NobodySelected},
		"nobody connected":         {"a node", dht.Message{To: dht.Flood{}}, dht.NobodySelected},
		"nobody searches":          {villagers, dht.Message{To: dht.DirectKey{Key: bob, Discover: true}}, dht.DiscoveryFailed},
		"to nothing":               {villagers, dht.Message{}, dht.NotSendable},
		"pointer":                  {villagers, dht.Message{To: &dht.Flood{}}, dht.NotSendable},
		"strange strategy":         {villagers, dht.Message{To: strange{}}, dht.NotSendable},
		"random, none":             {villagers, dht.Message{To: dht.Random{}}, dht.NotSendable},
		"random, fewer than none":  {villagers, dht.Message{To: dht.Random{N: -1}}, dht.NotSendable},
		"nobody named":             {villagers, dht.Message{To: dht.Selected{}}, dht.NotSendable},
		"only we are named":        {villagers, dht.Message{To: dht.Selected{Peers: []identity.NodeID{us.NodeID()}}}, dht.NobodySelected},
		"sealed for nobody":        {villagers, dht.Message{To: dht.Flood{}, Encrypt: true}, dht.NotSendable},
		"sealed for an id":         {villagers, dht.Message{To: dht.Direct{Peer: idOf("a")}, Encrypt: true}, dht.NotSendable},
		"sealed, propagated":       {villagers, dht.Message{To: dht.Propagate{}, Encrypt: true}, dht.NotSendable},
		"sealed for the zero key":  {villagers, dht.Message{To: dht.Broadcast{}, Destination: identity.PublicKey{}, Encrypt: true}, dht.NotSendable},
		"sealed for no key":        {villagers, dht.Message{To: dht.Broadcast{}, Destination: bad, Encrypt: true}, dht.NotSendable},
		"for no key":               {villagers, dht.Message{To: dht.Broadcast{}, Destination: bad}, dht.NotSendable},
		"too long":                 {villagers, dht.Message{To: dht.Broadcast{}, Body: make([]byte, 8<<20)}, dht.NotSendable},
		"much too long":            {villagers, dht.Message{To: dht.Broadcast{}, Body: make([]byte, 8<<20+1)}, dht.NotSendable},
		"too long when sealed":     {villagers, dht.Message{To: dht.Broadcast{}, Destination: bob, Encrypt: true, Body: make([]byte, 8<<20-200)}, dht.NotSendable},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, c.lines, nil)
			id := d.send(c.m)
			if len(d.writes) != 0 || len(d.searches) != 0 {
				t.Fatalf("got %d writes, %d searches, want none", len(d.writes), len(d.searches))
			}
			r := d.ended(id, c.want)
			if r.Err == nil || len(r.Copies) != 0 || !r.Failed() {
				t.Errorf("got %v, %d copies, failed %v, want an error, none, true", r.Err, len(r.Copies), r.Failed())
			}
			if d.dedup.Len() != 0 {
				t.Error("got a hash recorded of what was not sent")
			}
			d.nothing()
		})
	}
	for field, m := range map[string]dht.Message{
		"Random.N": {To: dht.Random{N: -1}}, "Selected.Peers": {To: dht.Selected{}}, "Selected.Peers has no usable peer": {To: dht.Selected{Peers: []identity.NodeID{us.NodeID()}}},
	} {
		d := newDesk(t, villagers, nil)
		if r := d.report(d.send(m)); r.Err == nil || !strings.Contains(r.Err.Error(), field) {
			t.Errorf("got %v, want an error that names %s", r.Err, field)
		}
	}
	t.Run("the longest", func(t *testing.T) {
		d := newDesk(t, villagers, func(o *dht.OutboundOptions) { o.MaxFrame = 300 })
		for n := range 300 {
			id := d.send(dht.Message{To: dht.Direct{Peer: idOf("a")}, Body: make([]byte, n)})
			switch {
			case len(d.writes) == 1 && len(d.writes[0].Frame) > 300:
				t.Fatalf("got a frame of %d bytes, want at most 300", len(d.writes[0].Frame))
			case len(d.writes) == 0:
				if n < 200 {
					t.Fatalf("got a message of %d bytes refused", n)
				}
				d.ended(id, dht.NotSendable)
			}
		}
	})
	t.Run("no randomness", func(t *testing.T) {
		d := newDesk(t, villagers, func(o *dht.OutboundOptions) { o.Random = strings.NewReader("short") })
		r := d.ended(d.send(dht.Message{To: dht.Flood{}, Sign: true}), dht.NotSendable)
		if !errors.Is(r.Err, io.ErrUnexpectedEOF) {
			t.Errorf("got %v, want that the random source ended", r.Err)
		}
	})
}

// TestOwnIsRecorded: a message for many is recorded, so that one that comes back is a
// duplicate; a message for one peer is not recorded. An existing count stays.
//
// conforms: dht 54
func TestOwnIsRecorded(t *testing.T) {
	for _, c := range []struct {
		to   dht.Strategy
		want uint32
	}{
		{dht.Direct{Peer: idOf("a")}, 0},
		{dht.DirectKey{Key: keyOf("a")}, 0},
		{dht.Selected{Peers: []identity.NodeID{idOf("a"), idOf("b")}}, 0},
		{dht.DirectOrClosest{To: idOf("a")}, 0},
		{dht.DirectOrClosest{To: idOf("z")}, 1},
		{dht.Closest{To: idOf("a")}, 1},
		{dht.Flood{}, 1},
		{dht.Random{N: 1}, 1},
		{dht.Broadcast{}, 1},
		{dht.Propagate{}, 1},
	} {
		for _, sign := range []bool{false, true} {
			d := newDesk(t, villagers, nil)
			d.send(dht.Message{To: c.to, Body: []byte("x"), Sign: sign})
			e := decode(t, d.writes[0].Frame)
			if got := d.dedup.Seen(e.DedupHash()); got != c.want {
				t.Errorf("%T: got %d times seen, want %d", c.to, got, c.want)
			}
			if all := d.dedup.All(); c.want > 0 && all[0].From != d.secret.PublicKey().NodeID() {
				t.Errorf("%T: got %v as whom it came from, want ourselves", c.to, all[0].From)
			}
			d.dedup.Count(e.DedupHash(), idOf("b"), d.now)
			before := d.dedup.Seen(e.DedupHash())
			d.send(dht.Message{To: c.to, Body: []byte("x")})
			if got := d.dedup.Seen(e.DedupHash()); got != before {
				t.Errorf("%T: got %d times seen after one more send, want %d", c.to, got, before)
			}
		}
	}
}

// TestReportInWords reads the sums of reports.
func TestReportInWords(t *testing.T) {
	d := newDesk(t, villagers, nil)
	d.discovers = true
	id := d.send(dht.Message{To: dht.DirectKey{Key: repeated(t, 9).PublicKey(), Discover: true}})
	if r := d.report(id); r.String() != "open" || r.Ended() || r.Failed() {
		t.Errorf("looked for: got %q, ended %v, failed %v", r.String(), r.Ended(), r.Failed())
	}
	id = d.send(dht.Message{To: dht.Flood{}})
	w := d.writes
	d.settle(w[0], confirmed)
	d.settle(w[1], refused)
	r := d.report(id)
	if got, want := r.String(), "1 of 4 confirmed, 1 failed, 2 open"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	d.settle(w[2], protocol.Outcome{Kind: protocol.Failed, Reason: protocol.Banned})
	d.settle(w[3], refused)
	if r := d.ended(id, 0); r.Failed() || r.Open() != 0 {
		t.Errorf("got failed %v, %d open, want false, 0", r.Failed(), r.Open())
	}
}

// TestControl sends messages of the DHT itself: their content is the only part of the body,
// a Join is signed, a Discovery encrypted, and layers of the application see neither.
//
// conforms: dht 19, 76, 82
func TestControl(t *testing.T) {
	seen := 0
	layer := func(next dht.SendHandler) dht.SendHandler {
		return func(out *dht.Outgoing) error { seen++; return next(out) }
	}
	d := newDesk(t, villagers, func(o *dht.OutboundOptions) {
		o.Layers = map[dht.SendPosition][]dht.SendLayer{dht.BeforeSelect: {layer}, dht.BeforeWrite: {layer}}
	})
	own, bob := d.secret.PublicKey(), repeated(t, 9)

	d.send(dht.Control{Type: wire.TypeJoin, To: dht.Closest{To: own.NodeID()}, Destination: own, Part: []byte("me")}.AsMessage())
	e := decode(t, d.writes[0].Frame)
	signer, err := e.VerifyOrigin()
	if err != nil || signer != own || e.Header.Type != wire.TypeJoin || !e.Header.Destination.Is(own) {
		t.Errorf("join: got %v, %v, header %+v", signer, err, e.Header)
	}
	if parts, err := wire.DecodeBody(e.Body); err != nil || len(parts) != 1 || string(parts[0]) != "me" {
		t.Errorf("join: got the parts %q, %v", parts, err)
	}
	if got, want := e.Header.Expires, uint64(d.now.Add(3*time.Hour).Unix()); got != want {
		t.Errorf("join: expires %d, want %d", got, want)
	}

	d.send(dht.Control{Type: wire.TypeDiscovery, To: dht.Broadcast{}, Destination: bob.PublicKey(), Encrypt: true, Part: []byte("who")}.AsMessage())
	e = decode(t, d.writes[0].Frame)
	if o := openFor(t, e, bob); e.Header.Type != wire.TypeDiscovery || len(o.Parts) != 1 || string(o.Parts[0]) != "who" || o.Origin != own {
		t.Errorf("discovery: got %+v, header %+v", o, e.Header)
	}

	d.send(dht.Control{Type: wire.TypeDiscoveryResponse, To: dht.Direct{Peer: idOf("a")}, Part: []byte("here")}.AsMessage())
	e = decode(t, d.writes[0].Frame)
	if signer, err := e.VerifyOrigin(); err != nil || signer != own || e.Header.Destination.Known {
		t.Errorf("response: got %v, %v, header %+v", signer, err, e.Header)
	}
	if seen != 0 {
		t.Errorf("layers saw %d messages of the DHT itself", seen)
	}
}
