package kad_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/kad/record"
	"github.com/gamelan-p2p/gamelan/internal/kad/values"
	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// The tests of this file go through a client the way that messages of peers take; each stands
// for a line of the table of bad input (spec: kad B15). Those of datagrams are in
// tests/seednode, those of clocks and disks are TestClientClock and TestDiskIsFull.

// deliver hands the client an answer that the test has made up.
func (n *byHand) deliver(t *testing.T, from kad.Contact, at kad.Address, m kad.Message) {
	t.Helper()
	m.Verb, m.Sender = overlay.Reply, from.ID
	if !n.port.Deliver(kad.Incoming{Packet: kad.Packet{Address: at, PublicKey: from.PublicKey, Message: m, Size: 100}, From: from}) {
		t.Fatal("got no token")
	}
	synctest.Wait()
}

// An answer to no request, from another address or contact, or that comes too late is dropped
// and counted, and changes nothing.
//
// conforms: kad 67
func TestAnswersToNoRequest(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		const asked, other = 11, 12
		var id overlay.RequestID
		n := &byHand{limits: kad.Limits{Private: true}}
		n.reply = func(_ kad.Address, m *kad.Message) (a kad.Message, ok bool) {
			id = m.ID
			return a, false
		}
		c := limited(t, n, kad.StandaloneOptions{})
		errs := make(chan error, 1)
		go func() {
			_, err := c.ConnectTo(t.Context(), handContact(asked))
			errs <- err
		}()
		synctest.Wait()
		list := kad.Message{ID: id, Contacts: []kad.Contact{handContact(13)}}
		stranger := list
		stranger.ID = overlay.RequestNumber(1 << 60)
		before := c.Stats().Unsolicited
		n.deliver(t, handContact(asked), handAddress(asked), stranger)
		n.deliver(t, handContact(asked), handAddress(other), list)
		n.deliver(t, handContact(other), handAddress(asked), list)
		if got := c.Stats().Unsolicited - before; got != 3 {
			t.Errorf("got %d answers counted, want 3", got)
		}
		time.Sleep(time.Minute) // too late
		if err := <-errs; !errors.Is(err, kad.ErrUnreachable) {
			t.Errorf("got %v, want no answer", err)
		}
		n.deliver(t, handContact(asked), handAddress(asked), list)
		if got := c.Stats().Unsolicited - before; got != 4 {
			t.Errorf("got %d answers counted with the late one, want 4", got)
		}
		if got := c.View().Len(); got != 0 {
			t.Errorf("got %d contacts, want none", got)
		}
	})
}

// told has a client look for a value by a node that answers with contacts, none of which
// answers. It returns who was asked, and whether the node has lost score.
func told(t *testing.T, contacts func(self kad.ID) []kad.Contact) (asked []kad.Address, blamed bool) {
	t.Helper()
	const teller = 11
	var list []kad.Contact
	n := &byHand{limits: kad.Limits{Private: true}}
	looking := false
	n.reply = func(to kad.Address, m *kad.Message) (a kad.Message, ok bool) {
		if looking && m.Verb == overlay.FindValue {
			asked = append(asked, to)
			a.Contacts, a.Status = list, overlay.NotFound
		}
		return a, to == handAddress(teller)
	}
	c := limited(t, n, kad.StandaloneOptions{})
	if _, err := c.ConnectTo(t.Context(), handContact(teller)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Minute)
	synctest.Wait()
	if len(c.Known()) != 1 {
		t.Fatalf("got %v in the table, want the teller", c.Known())
	}
	score := c.Known()[0].Score
	list = contacts(c.ID())
	n.mu.Lock()
	looking = true
	n.mu.Unlock()
	if r, err := c.Get(t.Context(), kad.Key{1, 2, 3}); !errors.Is(err, kad.ErrNotFound) {
		t.Fatalf("got %v, %v, want nothing found", r, err)
	}
	n.mu.Lock()
	looking = false
	n.mu.Unlock()
	if len(asked) == 0 || asked[0] != handAddress(teller) {
		t.Fatalf("got %v asked, want the known node first", asked)
	}
	synctest.Wait()
	return asked[1:], len(c.Known()) == 0 || c.Known()[0].Score < score
}

// Of 10,000 contacts in one answer 40 are read.
//
// conforms: kad 67
func TestTenThousandContacts(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		asked, _ := told(t, func(kad.ID) (list []kad.Contact) {
			for i := range uint64(10_000) {
				list = append(list, handContact(100+i))
			}
			return list
		})
		slices.Sort(asked)
		if asked = slices.Compact(asked); len(asked) != 40 {
			t.Errorf("got %d contacts asked, want 40", len(asked))
		}
	})
}

// A contact whose id does not follow from its key is not asked, and who named it loses score.
// The client itself is left out without blame, as each node may name it. What a claim must have
// is shown by TestNodesThatAreNoContacts and TestClaimsOverOtherAddresses of wire/v1.
//
// conforms: kad 67
func TestContactsThatAreNone(t *testing.T) {
	other := handContact(20)
	for name, x := range map[string]struct {
		who    func(self kad.ID) kad.Contact
		blamed bool
	}{
		"itself": {who: func(self kad.ID) kad.Contact {
			return kad.Contact{ID: self, PublicKey: kad.MemoryKey(1 << 40), Addresses: other.Addresses}
		}},
		"another id": {blamed: true, who: func(kad.ID) kad.Contact {
			return kad.Contact{ID: kad.ID{1, 2, 3}, PublicKey: other.PublicKey, Addresses: other.Addresses}
		}},
		"no address": {who: func(kad.ID) kad.Contact {
			return kad.Contact{ID: other.ID, PublicKey: other.PublicKey}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				good := handContact(21)
				asked, blamed := told(t, func(self kad.ID) []kad.Contact { return []kad.Contact{x.who(self), good} })
				if want := slices.Repeat([]kad.Address{good.Addresses[0]}, len(asked)); len(asked) == 0 || !slices.Equal(asked, want) {
					t.Errorf("got %v asked, want only the contact beside the bad one", asked)
				}
				if blamed != x.blamed {
					t.Errorf("got that who named it has lost score: %v, want %v", blamed, x.blamed)
				}
			})
		})
	}
}

// The client's own id is as good a target as others.
//
// conforms: kad 67
func TestItselfAsTarget(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		n := &byHand{limits: kad.Limits{Private: true}}
		c := limited(t, n, kad.StandaloneOptions{})
		for _, verb := range []overlay.Verb{overlay.FindNode, overlay.FindValue} {
			list := n.ask(t, 1, "", kad.Message{Verb: verb, Target: c.ID()})
			if len(list) != 1 || list[0].Status != overlay.OK && list[0].Status != overlay.NotFound {
				t.Errorf("%v: got %v, want an answer", verb, list)
			}
		}
	})
}

// A record that is none is refused with the status that says why, is not stored, and the peer
// that brought a forged one is ignored from then on.
//
// conforms: kad 67
func TestBadRecords(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		n := &byHand{limits: kad.Limits{Private: true}}
		c := limited(t, n, kad.StandaloneOptions{})
		key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
		wall := time.Now()
		signed := func(change func(*kad.Record)) *kad.Record {
			r := &kad.Record{
				Kind: overlay.Mutable, Alg: overlay.AlgEd25519, PublicKey: key.Public().(ed25519.PublicKey), Salt: []byte("salt"), Value: []byte("value"),
				Seq: 1, Expires: uint64(wall.Add(time.Hour).Unix()),
			}
			if change != nil {
				change(r)
			}
			r.Key = overlay.MutableKey(r.Alg, r.PublicKey, r.Salt)
			digest := r.Digest()
			r.Signature = ed25519.Sign(key, digest[:])
			return r
		}
		late := func(r *kad.Record, change func(*kad.Record)) *kad.Record {
			change(r)
			return r
		}
		immutable := func(value []byte) *kad.Record {
			return &kad.Record{Kind: overlay.Immutable, Key: overlay.ImmutableKey(value), Value: value}
		}
		for i, x := range []struct {
			name    string
			r       *kad.Record
			want    overlay.Status
			ignored bool
		}{
			{"none", nil, overlay.BadRequest, false},
			{"unknown kind", late(immutable([]byte("kind")), func(r *kad.Record) { r.Kind = 3 }), overlay.BadRequest, false},
			{"unknown algorithm", signed(func(r *kad.Record) { r.Alg = 2 }), overlay.Unsupported, false},
			{"hash", late(immutable([]byte("hash")), func(r *kad.Record) { r.Value = []byte("hush") }), overlay.BadSignature, true},
			{"bad signature", late(signed(nil), func(r *kad.Record) { r.Value = []byte("other") }), overlay.BadSignature, true},
			{"malleable signature", late(signed(nil), func(r *kad.Record) { addOrder(r.Signature[32:]) }), overlay.BadSignature, true},
			{"short signature", late(signed(nil), func(r *kad.Record) { r.Signature = r.Signature[:63] }), overlay.BadSignature, true},
			{"key in another form", late(signed(nil), func(r *kad.Record) {
				r.PublicKey = slices.Concat([]byte{0xee}, slices.Repeat([]byte{0xff}, 30), []byte{0x7f}) // 1 + p
				r.Key = overlay.MutableKey(r.Alg, r.PublicKey, r.Salt)
			}), overlay.BadSignature, true},
			{"unknown flag", signed(func(r *kad.Record) { r.Flags = 2 }), overlay.BadSignature, true},
			{"key of another", late(signed(nil), func(r *kad.Record) { r.Key[0]++ }), overlay.BadSignature, true},
			{"expired", signed(func(r *kad.Record) { r.Expires = uint64(wall.Add(-time.Second).Unix()) }), overlay.Expired, false},
			{"too far ahead", signed(func(r *kad.Record) {
				r.Expires = uint64(wall.Add(record.MaxLife + record.ClockSkew + time.Hour).Unix())
			}), overlay.Expired, false},
			{"salt of 65 bytes", signed(func(r *kad.Record) { r.Salt = make([]byte, 65) }), overlay.TooLarge, false},
			{"value of 8,193 bytes", immutable(make([]byte, 8193)), overlay.TooLarge, false},
		} {
			peer := uint64(100 + i)
			list := n.ask(t, peer, "", kad.Message{Verb: overlay.Store, Record: x.r})
			if len(list) != 1 || list[0].Status != x.want {
				t.Errorf("%s: got %v, want %v", x.name, list, x.want)
			}
			if s, _ := n.status(t, peer, ""); (s == overlay.RateLimited) != x.ignored {
				t.Errorf("%s: got %v for the next request, want the peer to be ignored: %v", x.name, s, x.ignored)
			}
			if x.r == nil {
				continue
			}
			if got := kad.Local(t, c, x.r.Key); got != nil {
				t.Errorf("%s: got it stored", x.name)
			}
		}
		good := signed(nil)
		if list := n.ask(t, 99, "", kad.Message{Verb: overlay.Store, Record: good}); len(list) != 1 || list[0].Status != overlay.OK {
			t.Errorf("got %v for the record as it is signed, want it stored", list)
		}
	})
}

// addOrder adds the order of the group to the second half of a signature, which is then
// another one of the same message to those who do not look.
func addOrder(s []byte) {
	order := [32]byte{
		0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 31: 0x10,
	}
	carry := 0
	for i := range s {
		sum := int(s[i]) + int(order[i]) + carry
		s[i], carry = byte(sum), sum>>8
	}
}

// A flood of records, of requests, and of invented senders leaves the store and the routing
// table within their bounds, and others are served.
//
// conforms: kad 67
func TestFloods(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		limits := values.DefaultLimits(kad.Native)
		limits.Total = kad.StoreQuota{Records: 64, Bytes: 64 << 10}
		n := &byHand{limits: kad.Limits{Private: true}}
		l := newLab(t, kad.HubOptions{}, kad.StandaloneOptions{})
		c := l.add(func(c *kad.Config) {
			c.Networks, c.PublicKey, c.Limits = []kad.Network{n}, kad.MemoryKey(1<<40), &limits
		})
		synctest.Wait()
		refused := 0
		for i := range 3000 {
			value := fmt.Appendf(make([]byte, 0, 600), "%0600d", i)
			list := n.ask(t, uint64(i%20), "", kad.Message{Verb: overlay.Store, Record: &kad.Record{
				Kind: overlay.Immutable, Key: overlay.ImmutableKey(value), Value: value,
			}})
			if len(list) != 1 {
				t.Fatalf("got %d answers, want one", len(list))
			}
			if s := list[0].Status; s == overlay.RateLimited {
				refused++
			} else if s != overlay.OK && s != overlay.Quota {
				t.Fatalf("got %v", s)
			}
		}
		if refused != 1000 {
			t.Errorf("got %d requests over the limit of STOREs, want 1,000", refused)
		}
		if s := c.Status(t.Context()); s.Records > 64 || s.Bytes > 64<<10 || s.Records < 32 {
			t.Errorf("got %d records of %d bytes, want at most 64, and 64 KiB", s.Records, s.Bytes)
		}
		for i := range uint64(3000) {
			n.ask(t, 1000+i, "", kad.Message{Verb: overlay.FindNode, Target: kad.ID{byte(i)}})
		}
		if got := c.View().Len(); got != 0 {
			t.Errorf("got %d contacts that never answered, want none", got)
		}
		if r, a, s := kad.Held(c); r+a+s != 0 {
			t.Errorf("got %d, %d and %d tokens taken after the flood, want none", r, a, s)
		}
		if s, _ := n.status(t, 5000, ""); s != overlay.OK {
			t.Errorf("got %v for another peer, want %v", s, overlay.OK)
		}
	})
}
