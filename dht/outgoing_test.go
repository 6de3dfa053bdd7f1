package dht_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
)

// noting is a layer that writes its name down on the way in and out.
func noting(log *[]string, name string) dht.SendLayer {
	return func(next dht.SendHandler) dht.SendHandler {
		return func(out *dht.Outgoing) error {
			*log = append(*log, name)
			err := next(out)
			*log = append(*log, "-"+name)
			return err
		}
	}
}

// layered has these layers at one position.
func layered(at dht.SendPosition, layers ...dht.SendLayer) func(*dht.OutboundOptions) {
	return func(o *dht.OutboundOptions) { o.Layers = map[dht.SendPosition][]dht.SendLayer{at: layers} }
}

// before is a layer that does something and goes on.
func before(do func(*dht.Outgoing)) dht.SendLayer {
	return func(next dht.SendHandler) dht.SendHandler {
		return func(out *dht.Outgoing) error {
			do(out)
			return next(out)
		}
	}
}

// after is a layer that goes on and then does something.
func after(do func(*dht.Outgoing)) dht.SendLayer {
	return func(next dht.SendHandler) dht.SendHandler {
		return func(out *dht.Outgoing) error {
			err := next(out)
			do(out)
			return err
		}
	}
}

func TestSendLayersInOrder(t *testing.T) {
	var log []string
	d := newDesk(t, villagers, func(o *dht.OutboundOptions) {
		o.Layers = map[dht.SendPosition][]dht.SendLayer{
			dht.BeforeSelect: {
				noting(&log, "s1"), noting(&log, "s2"),
				before(func(out *dht.Outgoing) {
					if len(out.Peers) != 0 || out.Envelope.Body != nil {
						t.Error("before select: got peers or an envelope")
					}
				}),
			},
			dht.BeforeWrite: {
				noting(&log, "w1"), noting(&log, "w2"),
				before(func(out *dht.Outgoing) {
					if len(out.Peers) != 4 || len(out.Envelope.Body) == 0 || out.Type != 7 {
						t.Errorf("before write: got %d peers, a body of %d bytes, type %d", len(out.Peers), len(out.Envelope.Body), out.Type)
					}
				}),
			},
		}
	})
	d.send(dht.Message{To: dht.Flood{}, Type: 7})
	if got, want := strings.Join(log, " "), "s1 s2 -s2 -s1 w1 w2 -w2 -w1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	log = nil
	e := decode(t, d.writes[0].Frame)
	d.relay(&e, dht.Flood{})
	if len(d.writes) != 4 || len(log) != 0 {
		t.Errorf("relayed: got %d writes, layers %v, want 4, none", len(d.writes), log)
	}
}

// TestSendLayersChange: messages are sent as layers change them.
func TestSendLayersChange(t *testing.T) {
	bob := repeated(t, 9)
	t.Run("the message", func(t *testing.T) {
		d := newDesk(t, villagers, layered(dht.BeforeSelect, before(func(out *dht.Outgoing) {
			out.To, out.Type, out.Body, out.Tag = dht.Direct{Peer: idOf("c")}, 8, []byte("changed"), 5
			out.Encrypt, out.Destination = true, bob.PublicKey()
		})))
		d.send(dht.Message{To: dht.Flood{}, Type: 7, Body: []byte("secret")})
		if to(d.writes) != "c" {
			t.Fatalf("got %q, want c", to(d.writes))
		}
		e := decode(t, d.writes[0].Frame)
		h, body, err := wire.SplitDomain(openFor(t, e, bob).Parts)
		if err != nil || h.Type != 8 || h.Nonce == 0 || string(body) != "changed" || e.Header.Tag != 5 {
			t.Errorf("got %+v, %q, tag %d, %v", h, body, e.Header.Tag, err)
		}
	})
	t.Run("another message", func(t *testing.T) {
		d := newDesk(t, villagers, layered(dht.BeforeSelect, func(next dht.SendHandler) dht.SendHandler {
			return func(*dht.Outgoing) error {
				return next(&dht.Outgoing{Message: dht.Message{To: dht.Direct{Peer: idOf("b")}, Body: numbered(2)}})
			}
		}))
		d.send(plain("a", 1))
		d.wrote(2)
	})
	t.Run("peers", func(t *testing.T) {
		d := newDesk(t, villagers, layered(dht.BeforeWrite, before(func(out *dht.Outgoing) {
			out.Peers = []identity.NodeID{idOf("e"), idOf("b")}
			out.Envelope.Header.Tag = 42
		})))
		id := d.send(dht.Message{To: dht.Flood{}})
		r := d.report(id)
		if to(d.writes) != "be" || len(r.Copies) != 2 || r.Tag != 42 {
			t.Errorf("got %q, %d copies, tag %d, want be, 2, 42", to(d.writes), len(r.Copies), r.Tag)
		}
		e := decode(t, d.writes[0].Frame)
		if e.Header.Tag != 42 || d.dedup.Seen(e.DedupHash()) != 1 {
			t.Errorf("got tag %d, seen %d, want 42, 1", e.Header.Tag, d.dedup.Seen(e.DedupHash()))
		}
	})
}

// TestSendLayersAfterwards: changes that a layer makes after calling next have no
// effect, in particular on whether the message is encrypted.
func TestSendLayersAfterwards(t *testing.T) {
	for _, at := range []dht.SendPosition{dht.BeforeSelect, dht.BeforeWrite} {
		d := newDesk(t, villagers, layered(at, after(func(out *dht.Outgoing) {
			out.To, out.Encrypt, out.Body = nil, !out.Encrypt, []byte("other bytes")
			for i := range out.Peers {
				out.Peers[i] = idOf("z")
			}
			out.Peers = out.Peers[:1]
			out.Envelope.Header.Tag = 9
		})))
		d.send(dht.Message{To: dht.Flood{}, Body: numbered(1), Tag: 3})
		d.wrote(1, 1, 1, 1)
		if e := decode(t, d.writes[0].Frame); to(d.writes) != "abcd" || e.Header.Tag != 3 || e.Header.Encrypted() {
			t.Errorf("%v: got %q, %+v", at, to(d.writes), e.Header)
		}
		d.nothing()
	}
	// Nor does swallowing the refusal.
	for _, m := range []dht.Message{
		{To: dht.Flood{}, Encrypt: true, Body: []byte("secret")},
		{To: dht.Direct{Peer: repeated(t, 1).PublicKey().NodeID()}},
	} {
		d := newDesk(t, villagers, layered(dht.BeforeSelect, func(next dht.SendHandler) dht.SendHandler {
			return func(out *dht.Outgoing) error {
				_ = next(out)
				out.Peers = []identity.NodeID{idOf("a")}
				return nil
			}
		}))
		id := d.send(m)
		want := dht.NotSendable
		if !m.Encrypt {
			want = dht.ToOurselves
		}
		d.ended(id, want)
		d.wrote()
	}
}

// TestSendLayersStop: a layer ends the message that it stops, swallows or panics
// on, and no other.
func TestSendLayersStop(t *testing.T) {
	why := errors.New("not on sundays")
	for name, layer := range map[string]func(next dht.SendHandler, out *dht.Outgoing) error{
		"stop":          func(dht.SendHandler, *dht.Outgoing) error { return why },
		"stop after":    func(next dht.SendHandler, out *dht.Outgoing) error { return errors.Join(next(out), why) },
		"swallow":       func(dht.SendHandler, *dht.Outgoing) error { return nil },
		"panic":         func(dht.SendHandler, *dht.Outgoing) error { panic(why) },
		"panic after":   func(next dht.SendHandler, out *dht.Outgoing) error { _ = next(out); panic(why) },
		"panic for nil": func(next dht.SendHandler, _ *dht.Outgoing) error { return next(nil) },
	} {
		for _, at := range []dht.SendPosition{dht.BeforeSelect, dht.BeforeWrite} {
			t.Run(name+" "+at.String(), func(t *testing.T) {
				d := newDesk(t, villagers, layered(at, func(next dht.SendHandler) dht.SendHandler {
					return func(out *dht.Outgoing) error {
						if out.Type == 1 {
							return layer(next, out)
						}
						return next(out)
					}
				}))
				for range 2 {
					bad := d.send(dht.Message{To: dht.Flood{}, Type: 1, Body: []byte("stopped")})
					d.wrote()
					r := d.ended(bad, dht.SendStopped)
					if strings.HasPrefix(name, "stop") && !errors.Is(r.Err, why) {
						t.Errorf("got %v, want %v", r.Err, why)
					}
					if strings.HasPrefix(name, "panic") && !strings.Contains(r.Err.Error(), "panic") {
						t.Errorf("got %v, want that it panicked", r.Err)
					}
					if d.dedup.Len() != 0 {
						t.Error("got a hash recorded of what was not sent")
					}
					d.send(plain("a", 5))
					d.wrote(5)
				}
				d.nothing()
			})
		}
	}
	d := newDesk(t, villagers, layered(dht.BeforeWrite, before(func(out *dht.Outgoing) { out.Peers = nil })))
	d.ended(d.send(dht.Message{To: dht.Flood{}}), dht.NobodySelected)
	if d.dedup.Len() != 0 {
		t.Error("got a hash recorded of what was not sent")
	}
	d.nothing()
}

// TestSendLayersAndSearch: the layer before the write is passed when the peer is
// found, that before the selection once.
func TestSendLayersAndSearch(t *testing.T) {
	var log []string
	d := newDesk(t, villagers, func(o *dht.OutboundOptions) {
		o.Layers = map[dht.SendPosition][]dht.SendLayer{
			dht.BeforeSelect: {noting(&log, "s")}, dht.BeforeWrite: {noting(&log, "w")},
		}
	})
	d.discovers = true
	id := d.send(dht.Message{To: dht.DirectKey{Key: repeated(t, 9).PublicKey(), Discover: true}})
	if want := []string{"s", "-s"}; !slices.Equal(log, want) {
		t.Errorf("got %v, want %v", log, want)
	}
	d.discovered(id, "b", nil)
	if want := []string{"s", "-s", "w", "-w"}; !slices.Equal(log, want) {
		t.Errorf("got %v, want %v", log, want)
	}
}
