package wirecheck

import (
	"crypto/rand"
	"slices"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/onecall"
	"github.com/gamelan-p2p/gamelan/internal/rawpeer"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// maxLetter is the longest message that the double looks into.
const maxLetter = 64 << 10

// letter takes a message of the DHT; false ends the connection.
func (m *doubleMux) letter(b []byte) bool {
	e, err := wire.DecodeEnvelope(slices.Clone(b))
	if err != nil {
		return true
	}
	if m.has("ends at every message of the DHT") {
		return false
	}
	origin, err := e.VerifyOrigin()
	if err != nil {
		return false
	}
	if e.Header.Type == wire.TypeDomain && !e.Header.Destination.Is(m.secret.PublicKey()) {
		m.keep(e)
		return true
	}
	body := e.Body
	if e.Header.Encrypted() {
		opened, err := e.Open(m.secret, origin)
		if err != nil {
			return true
		}
		origin, body = opened.Origin, wire.AppendBody(nil, opened.Parts...)
	}
	switch e.Header.Type {
	case wire.TypeDomain:
		return true
	case wire.TypeStoredRequest:
		return m.giveStored(e.Header.Encrypted(), body)
	case wire.TypeStoredMessages:
		return m.takeStored(body)
	}
	a, ok := m.announced(origin, body, e.Header.Type)
	switch {
	case !ok:
		return m.has("takes every announcement")
	case e.Header.Type == wire.TypeJoin:
		m.relay(b, origin)
	case e.Header.Type == wire.TypeDiscovery:
		m.answer(a)
	case m.has("ends at unasked responses"):
		return false
	}
	return true
}

// overlooks reports whether the double bans the sender but leaves the connection open: it
// does not count the peer as connected yet.
func (m *doubleMux) overlooks() bool {
	return m.has("counts peers as connected late") && time.Since(m.began) < 100*time.Millisecond
}

// announced returns the content of a message, and whether it keeps the rules.
func (m *doubleMux) announced(origin identity.PublicKey, body []byte, kind wire.MessageType) (a wire.Announcement, ok bool) {
	parts, err := wire.DecodeBody(body)
	if err != nil || len(parts) == 0 || origin.IsZero() {
		return a, false
	}
	if a, err = wire.DecodeAnnouncement(parts[0]); err != nil {
		return a, false
	}
	c, err := a.Claim()
	if err != nil || c.Key != origin || kind == wire.TypeDiscoveryResponse && origin != m.peer {
		return a, false
	}
	return a, c.Verify(time.Now()) == nil
}

// relay sends a Join to the nodes that are connected.
func (m *doubleMux) relay(b []byte, joiner identity.PublicKey) {
	if m.has("alters relayed Joins") {
		e, _ := wire.DecodeEnvelope(b)
		e.Header.Tag++
		b = e.Append(nil)
	}
	m.mu.Lock()
	var to []*doubleMux
	for other := range m.members {
		if other.features.IsNode() && (other.peer != joiner || m.has("sends Joins back")) {
			to = append(to, other)
		}
	}
	if len(to) > 0 {
		m.relays++
	}
	skips := m.has("relays no Join") || m.has("relays each third Join") && m.relays%3 != 0
	m.mu.Unlock()
	if skips {
		return
	}
	for _, other := range to {
		other.post(b)
	}
}

// post sends a message on a substream of the double's own.
func (m *doubleMux) post(letter []byte) {
	m.mu.Lock()
	m.own += 2
	id := m.own
	m.mu.Unlock()
	b := append(propose(optimistic, messagingID), message(string(letter))...)
	if m.has("proposes what nobody knows") { // and waits for the refusal
		b = append(propose(0, unknownID), b...)
	}
	m.send(rawpeer.TypeData, rawpeer.SYN, id, uint32(len(b)), b...)
}

// answer answers a Discovery.
func (m *doubleMux) answer(asked wire.Announcement) {
	if m.has("answers no Discovery") || m.has("answers a nonce once") && m.answered[asked.Nonce] {
		return
	}
	m.answered[asked.Nonce] = true
	address := ma.StringCast("/ip4/1.2.3.4/tcp/80").Bytes()
	if m.has("answers with a bad address") {
		address = []byte(port0)
	}
	c, _ := identity.SignClaim(m.secret, identity.FeatureNode, [][]byte{address}, time.Now(), rand.Reader)
	if m.has("answers with a forged claim") {
		c.Features = identity.FeatureNone
	}
	n := asked.Nonce
	if m.has("answers with another nonce") {
		n++
	}
	d := draft(wire.TypeDiscoveryResponse, wire.Destination{}, part(wire.NewAnnouncement(c, n)))
	signer := m.secret
	switch {
	case m.has("answers with a destination"):
		d.Destination = wire.To(m.peer)
	case m.has("answers for others"):
		signer = gamelantest.Secret(3)
	}
	e, _ := wire.Compose(d, signer, rand.Reader)
	if m.has("answers unsigned") {
		e.Header.Signature = nil
	}
	m.post(e.Append(nil))
}

// directory takes what has come on a substream of t/dht/1.
func (m *doubleMux) directory(s *doubleStream) {
	for {
		frame, n := framed4(string(s.in))
		s.in = s.in[n:]
		switch {
		case frame == nil:
			return
		case !s.greeted:
			s.greeted = true
			reply := onecall.AppendAccepted(nil)
			if m.has("rejects sessions") {
				reply = onecall.AppendRejected(nil, rpc.NoServerSessions)
			}
			m.write4(s, reply)
		default:
			r, _ := onecall.DecodeRequest(frame)
			items, status := m.call(r.Method, r.Payload)
			for _, item := range items {
				m.respond(s, onecall.Response{ID: r.ID, Payload: item})
			}
			if m.has("never ends lists") {
				continue
			}
			m.respond(s, onecall.Response{ID: r.ID, Status: status, Flags: onecall.FIN})
		}
	}
}

func (m *doubleMux) write4(s *doubleStream, b []byte) {
	m.send(rawpeer.TypeData, 0, s.id, uint32(4+len(b)), message(string(b))...)
}

func (m *doubleMux) respond(s *doubleStream, r onecall.Response) {
	b := onecall.AppendResponse(nil, r)
	m.send(rawpeer.TypeData, 0, s.id, uint32(len(b)), b...)
}

// call answers a request for peers.
func (m *doubleMux) call(method uint32, payload []byte) (items [][]byte, status rpc.Status) {
	all := m.known()
	switch method {
	case getPeers:
		r, err := wire.DecodeGetPeers(payload)
		if bad := err != nil || r.MaxClaims == 0 || r.MaxAddressesPerClaim == 0; bad && !m.has("takes bad limits") {
			return nil, rpc.BadRequest
		}
		if !r.IncludeClients && !m.has("lists clients unasked") {
			all = slices.DeleteFunc(all, func(p wire.PeerInfo) bool { return p.Claims[0].Features == 0 })
		}
		if !m.has("lists more than were asked for") {
			all = all[:min(len(all), int(r.N))]
		}
	case getCloserPeers:
		r, err := wire.DecodeGetCloserPeers(payload)
		switch {
		case m.has("does not serve method 1"):
			return nil, rpc.UnsupportedMethod
		case m.has("takes bad ids"):
		case err != nil, r.N == 0, r.N > 100, r.MaxClaims == 0, r.MaxAddressesPerClaim == 0, len(r.CloserTo) != identity.NodeIDLen, len(r.Excluded) > 0:
			return nil, rpc.BadRequest
		}
		if to, err := identity.NodeIDFromBytes(r.CloserTo); err == nil {
			slices.SortFunc(all, func(a, b wire.PeerInfo) int { return distance(a, to).Cmp(distance(b, to)) })
		}
		if m.has("lists the farthest first") {
			slices.Reverse(all)
		}
	default:
		if m.has("answers unknown methods") {
			return nil, rpc.OK
		}
		return nil, rpc.UnsupportedMethod
	}
	for _, p := range all {
		items = append(items, p.Append(nil))
	}
	return items, rpc.OK
}

// known are the peers that the double lists: three nodes and a client.
func (m *doubleMux) known() (all []wire.PeerInfo) {
	for i, f := range []identity.Features{identity.FeatureNode, identity.FeatureNone, identity.FeatureNode, identity.FeatureNode} {
		address := ma.StringCast("/ip4/1.2.3.4/tcp/80").Bytes()
		if m.has("lists bad addresses") {
			address = []byte(port0)
		}
		c, _ := identity.SignClaim(gamelantest.Secret(10+i), f, [][]byte{address}, time.Now(), rand.Reader)
		if m.has("lists forged claims") {
			c.Features ^= identity.FeatureNode
		}
		all = append(all, wire.NewPeerInfo(c.Key, c))
	}
	switch {
	case m.has("lists peers twice"):
		all = append(all, all[0])
	case m.has("lists who asks"):
		all[0].Key = m.peer[:]
	case m.has("lists peers without claims"):
		all[3].Claims = nil
	case m.has("lists six claims"):
		all[0].Claims = slices.Repeat(all[0].Claims, 6)
	case m.has("lists nothing but bytes"):
		all = []wire.PeerInfo{{Key: []byte("no key"), Claims: all[0].Claims}}
	}
	return all
}
