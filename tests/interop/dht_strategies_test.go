package interop

import (
	"slices"
	"testing"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
)

// mesh is two nodes of each kind, each connected to each other.
type mesh struct {
	t     *testing.T
	our   []*member
	their []*tari
}

func startMesh(t *testing.T, release string, cfg gamelan.DHTConfig) *mesh {
	t.Helper()
	s := &mesh{t: t}
	for range 2 {
		s.our = append(s.our, startMember(t, cfg))
		// With one task at a time what a peer has sent comes in order.
		s.their = append(s.their, startTariDHT(t, release, "--dht-tasks", "1"))
	}
	join(t, s.our[0], s.our[1])
	for _, m := range s.our {
		for _, p := range s.their {
			reach(t, m, p, weDial)
		}
	}
	meet(t, s.their[0], s.their[1])
	return s
}

// ids of all but one, in the order of [mesh.times].
func (s *mesh) others(of identity.NodeID) (ids []identity.NodeID) {
	for _, m := range s.our {
		ids = append(ids, m.ID())
	}
	for _, p := range s.their {
		ids = append(ids, p.id)
	}
	return slices.DeleteFunc(ids, func(id identity.NodeID) bool { return id == of })
}

// got lists who has heard a message with that body, as often as they have.
func (s *mesh) got(body string) (ids []identity.NodeID) {
	for _, m := range s.our {
		for range m.times(body) {
			ids = append(ids, m.ID())
		}
	}
	for _, p := range s.their {
		for range p.times(body) {
			ids = append(ids, p.id)
		}
	}
	return ids
}

// last has a node's last message arrive everywhere, and with it all before.
func (s *mesh) last(from identity.NodeID, body string, send func(to identity.NodeID, body string)) {
	s.t.Helper()
	for _, m := range s.our {
		if m.ID() != from {
			send(m.ID(), body)
			m.delivery(body)
		}
	}
	for _, p := range s.their {
		if p.id != from {
			send(p.id, body)
			p.delivery(body)
		}
	}
}

// wantSet compares node ids without their order.
func wantSet(t *testing.T, what string, got, want []identity.NodeID) {
	t.Helper()
	got, want = slices.Clone(got), slices.Clone(want)
	for _, ids := range [][]identity.NodeID{got, want} {
		slices.SortFunc(ids, func(a, b identity.NodeID) int { return slices.Compare(a[:], b[:]) })
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// nearest returns the n ids that are nearest to another.
func nearest(ids []identity.NodeID, to identity.NodeID, n int) []identity.NodeID {
	ids = slices.Clone(ids)
	slices.SortFunc(ids, func(a, b identity.NodeID) int { return to.Distance(a).Cmp(to.Distance(b)) })
	return ids[:n]
}

// Each strategy, ours and theirs, reaches those that it is for, each once, and
// nobody else.
//
// conforms: dht 55, 57
// feature: DHT: who gets a copy by each strategy
func TestDHTStrategies(t *testing.T) {
	t.Parallel()
	against(t, func(t *testing.T, release string) {
		t.Parallel()
		s := startMesh(t, release, gamelan.DHTConfig{Broadcast: 2})
		defer wantNoBans(t, s.our, s.their)
		s.ourStrategies()
		s.theirStrategies(release)
	})
}

func (s *mesh) ourStrategies() {
	t, a, b, p, q := s.t, s.our[0], s.our[1], s.their[0], s.their[1]
	all := s.others(a.ID())
	notQ := []identity.NodeID{b.ID(), p.id}
	exclude := []identity.NodeID{q.id}
	toB, toP := b.PublicKey(), p.key
	cases := []struct {
		name   string
		to     dht.Strategy
		copies int
		want   []identity.NodeID // nil: any so many
	}{
		{"flood", dht.Flood{}, 3, all},
		{"flood but one", dht.Flood{Exclude: exclude}, 2, notQ},
		{"broadcast", dht.Broadcast{}, 2, nil},
		{"broadcast but one", dht.Broadcast{Exclude: exclude}, 2, notQ},
		{"random 3", dht.Random{N: 3}, 3, all},
		{"random 1", dht.Random{N: 1}, 1, nil},
		{"random but one", dht.Random{N: 3, Exclude: exclude}, 2, notQ},
		{"closest", dht.Closest{To: q.id, ConnectedOnly: true}, 2, nearest(all, q.id, 2)},
		{"closest but one", dht.Closest{To: q.id, ConnectedOnly: true, Exclude: exclude}, 2, notQ},
		{"direct or closest", dht.DirectOrClosest{To: p.id}, 1, []identity.NodeID{p.id}},
		{"selected", dht.Selected{Peers: notQ}, 2, notQ},
		{"propagate", dht.Propagate{}, 3, all},
		{"propagate but one", dht.Propagate{Exclude: exclude}, 2, notQ},
		{"propagate to ours", dht.Propagate{To: toB}, 1, []identity.NodeID{b.ID()}},
		{"propagate to theirs", dht.Propagate{To: toP}, 1, []identity.NodeID{p.id}},
	}
	reports := make([]dht.Report, len(cases))
	for i, c := range cases {
		reports[i] = a.mustSend(dht.Message{To: c.to, Body: []byte("our " + c.name)}, c.copies)
	}
	s.last(a.ID(), "our last", func(to identity.NodeID, body string) {
		a.mustSend(dht.Message{To: dht.Direct{Peer: to}, Body: []byte(body)}, 1)
	})
	for i, c := range cases {
		if c.want == nil {
			for _, copied := range reports[i].Copies {
				c.want = append(c.want, copied.Peer)
			}
		}
		wantSet(t, "our "+c.name, s.got("our "+c.name), c.want)
	}
}

func (s *mesh) theirStrategies(release string) {
	t, a, b, p, q := s.t, s.our[0], s.our[1], s.their[0], s.their[1]
	all := s.others(p.id)
	notA := []identity.NodeID{b.ID(), q.id}
	aKey := a.PublicKey()
	exclude := []identity.PublicKey{aKey}
	cases := []struct {
		name   string
		letter letter
		copies int
		want   []identity.NodeID // nil: any so many
	}{
		{"flood", letter{to: "flood"}, 3, all},
		{"flood but one", letter{to: "flood", exclude: exclude}, 2, notA},
		{"broadcast", letter{to: "broadcast"}, 3, all},
		{"broadcast but one", letter{to: "broadcast", exclude: exclude}, 2, notA},
		{"random 3", letter{to: "random", n: 3}, 3, all},
		{"random 1", letter{to: "random", n: 1}, 1, nil},
		{"closest", letter{to: "closest", key: &aKey}, 3, all},
		{"closest but one", letter{to: "closest_connected", key: &aKey, exclude: exclude}, 2, notA},
		{"selected", letter{to: "selected", peers: []identity.PublicKey{b.PublicKey(), q.key}}, 2, notA},
		{"propagate", letter{to: "propagate"}, 3, all},
		{"propagate but one", letter{to: "propagate", exclude: exclude}, 2, notA},
		{"propagate to ours", letter{to: "propagate", key: &aKey}, 1, []identity.NodeID{a.ID()}},
	}
	for i, c := range cases {
		if release == "6.2.0" && c.letter.key != nil && c.letter.to != "propagate" {
			cases[i].want = []identity.NodeID{} // it has no such strategy
			continue
		}
		c.letter.messageType = domainType
		r, err := p.post(c.letter, []byte("their "+c.name))
		if err != nil || r.Queued != c.copies {
			t.Errorf("their %s: got %+v, %v, want %d copies", c.name, r, err, c.copies)
		}
		for _, copied := range r.Copies {
			if copied.Ended != "sent" {
				t.Errorf("their %s: got %q, want it sent", c.name, copied.Ended)
			}
		}
	}
	s.last(p.id, "their last", func(to identity.NodeID, body string) {
		i := slices.IndexFunc(s.our, func(m *member) bool { return m.ID() == to })
		key := q.key
		if i >= 0 {
			key = s.our[i].PublicKey()
		}
		p.mustPost(letter{to: "key", key: &key, messageType: domainType}, body)
	})
	for _, c := range cases {
		got := s.got("their " + c.name)
		if c.want == nil {
			if len(got) != c.copies {
				t.Errorf("their %s: got %v, want %d", c.name, got, c.copies)
			}
			continue
		}
		wantSet(t, "their "+c.name, got, c.want)
	}
}

// A Tari node that is a client gets what is for it and nothing that it would have
// to relay.
//
// conforms: dht 56, 57
// feature: DHT: clients get only what is for them
func TestDHTClient(t *testing.T) {
	t.Parallel()
	against(t, func(t *testing.T, release string) {
		t.Parallel()
		m := startMember(t, gamelan.DHTConfig{})
		client, node := startTariDHT(t, release, "--features", "0", "--dht-tasks", "1"), startTariDHT(t, release, "--dht-tasks", "1")
		reach(t, m, client, weDial)
		reach(t, m, node, weDial)
		defer wantNoBans(t, []*member{m}, []*tari{client, node})
		for name, c := range map[string]struct {
			to   dht.Strategy
			want *tari
		}{
			"flood": {dht.Flood{}, node}, "broadcast": {dht.Broadcast{}, node}, "random": {dht.Random{N: 3}, node},
			"closest":         {dht.Closest{To: client.id, ConnectedOnly: true}, node},
			"propagate":       {dht.Propagate{}, node},
			"propagate to it": {dht.Propagate{To: client.key}, client},
			"direct":          {dht.Direct{Peer: client.id}, client},
		} {
			if r := m.mustSend(dht.Message{To: c.to, Body: []byte(name)}, 1); r.Copies[0].Peer != c.want.id {
				t.Errorf("%s: got a copy for %s, want it for %s", name, r.Copies[0].Peer, c.want.id)
			}
			c.want.delivery(name)
		}
		key := m.PublicKey()
		client.mustPost(letter{to: "key", key: &key, seal: "signed", messageType: domainType}, "from a client")
		wantOrigin(t, "from a client", m.delivery("from a client").From, client.key, true)
	})
}
