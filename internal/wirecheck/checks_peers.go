package wirecheck

import (
	"bytes"
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/internal/protocol/onecall"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

func peersChecks() []Check {
	return needSession([]Check{
		{Name: "peers.session", Rules: "dht 111", Title: "t/dht/1 opens a session of version 0", run: peersSession},
		{Name: "peers.listed", Rules: "dht 111, 113, 116, 117", Title: "every peer in a list is well formed and signed", run: peersListed},
		{Name: "peers.nodes", Rules: "dht 113", Title: "no clients, unless they are asked for", run: peersNodes},
		{Name: "peers.few", Rules: "dht 115", Title: "no more peers than were asked for", run: peersFew},
		{Name: "peers.limits", Rules: "dht 112", Title: "limits of 0, and what is no request, have status 1", run: peersLimits},
		{Name: "peers.closer", Rules: "dht 112, 114", Title: "method 1 sorts by distance and refuses bad limits, or is not served", run: peersCloser},
		{Name: "peers.method", Rules: "dht 111", Title: "an unknown method has status 2", run: peersMethod},
	})
}

// Methods of t/dht/1.
const (
	getCloserPeers = 1
	getPeers       = 10
)

// directory is a session with the service that lists peers.
type directory struct {
	*session
	calls uint32
}

var (
	rpcHello  = []byte{0, 0, 0, 3, 0x0a, 1, 0}
	rpcAccept = []byte{0, 0, 0, 2, 0x08, 0}
)

// directory connects, and opens a session on substream 1.
func (p *probe) directory() (*directory, error) {
	s, err := p.connect()
	if err != nil {
		return nil, err
	}
	if !s.takes(dhtID) {
		return nil, inapplicable("its identity does not list " + dhtID)
	}
	if err := s.open(1, append(propose(optimistic, dhtID), rpcHello...)...); err != nil {
		return nil, err
	}
	if err := s.answers(1, rpcAccept); err != nil {
		return nil, err
	}
	s.Take(1, len(rpcAccept))
	return &directory{session: s}, nil
}

// rpcDeadline is the deadline of a call, in seconds: longer than the check waits.
const rpcDeadline = 10

// call makes a call, and returns the payloads of its answer with the status of its end.
func (d *directory) call(method uint32, request []byte) (items [][]byte, status rpc.Status, err error) {
	d.calls++
	id := d.calls
	if err := d.data(1, onecall.AppendRequest(nil, onecall.Request{ID: id, Method: method, Deadline: rpcDeadline, Payload: request})...); err != nil {
		return nil, 0, err
	}
	for {
		r, err := d.response(id)
		switch {
		case err != nil:
			return items, 0, err
		case r.Flags&onecall.FIN == 0:
			items = append(items, r.Payload)
		default:
			// A request that follows a stream at once may find the session closed
			// (spec: comms 9.4).
			d.Wait(quiet/10, func() bool { return false })
			return items, r.Status, nil
		}
	}
}

// response waits for the next response to the request with this id.
func (d *directory) response(id uint32) (r onecall.Response, err error) {
	var frame []byte
	arrived := func() bool {
		st := d.Stream(1)
		var n int
		frame, n = framed4(st.Rest())
		d.Take(1, n)
		return n > 0 || st.Ended()
	}
	if !d.Wait(patience, arrived) {
		if err := d.ping(); err != nil {
			return r, err
		}
		return r, differs("a response", "none within %v", patience)
	}
	if frame == nil {
		return r, differs("a response", "%s", how(d.Stream(1)))
	}
	if r, err = onecall.DecodeResponse(frame); err != nil {
		return r, differs("a response", "%v: %s", err, around(frame, 0))
	}
	switch {
	case r.ID != id:
		return r, differs(fmt.Sprintf("a response with the id %d", id), "%d", r.ID)
	case r.Flags > onecall.FIN:
		return r, differs("a response with flags 0 or 1", "%d", r.Flags)
	}
	return r, nil
}

// Limits of the lists that the checks ask for.
const (
	manyPeers = 50
	mostEach  = 5 // claims of a peer, and addresses of a claim
)

// list calls GetPeers and returns the checked peers.
func (d *directory) list(r wire.GetPeers) (peers []wire.PeerInfo, err error) {
	items, status, err := d.call(getPeers, r.Append(nil))
	switch {
	case err != nil:
		return nil, err
	case status != rpc.OK:
		return nil, differs("a list of peers", "status %d", status)
	}
	return d.checked(items, int(r.N))
}

// checked decodes the peers of a list, and checks each.
func (d *directory) checked(items [][]byte, most int) (peers []wire.PeerInfo, err error) {
	if len(items) > most {
		return nil, differs(fmt.Sprintf("at most %d peers", most), "%d", len(items))
	}
	seen := make(map[string]bool, len(items))
	for i, b := range items {
		where := fmt.Sprintf("peer %d of the list", i+1)
		peer, err := wire.DecodePeerInfo(b)
		if err != nil {
			return nil, differs(where, "%v: %s", err, around(b, 0))
		}
		self := d.p.secret.PublicKey()
		switch {
		case seen[string(peer.Key)]:
			return nil, differs(where+" to be another one", "%x again", peer.Key)
		case bytes.Equal(peer.Key, self[:]):
			return nil, differs(where+" to be another one than who asks", "the key that asks")
		}
		seen[string(peer.Key)] = true
		if err := checkPeer(where, peer); err != nil {
			return nil, err
		}
		peers = append(peers, peer)
	}
	return peers, nil
}

// checkPeer checks the claims of a peer.
func checkPeer(where string, peer wire.PeerInfo) error {
	if n := len(peer.Claims); n == 0 || n > mostEach {
		return differs(where+" to have 1 to 5 claims", "%d", n)
	}
	claims, err := peer.SignedClaims()
	if err != nil {
		return differs(where+" to have claims", "%v", err)
	}
	for _, c := range claims {
		if n := len(c.Addresses); n == 0 || n > mostEach {
			return differs(where+" to have 1 to 5 addresses in a claim", "%d", n)
		}
		for _, a := range c.Addresses {
			if err := address.CheckBytes(a); err != nil {
				return differs(where+" to have well-formed addresses", "%x: %v", a, err)
			}
		}
		if err := c.VerifyWithin(time.Now(), limits.ClaimSkew); err != nil {
			return differs(where+" to have claims signed by its key, and dated", "%v", err)
		}
	}
	return nil
}

// everybody asks for all kinds of peers.
var everybody = wire.GetPeers{N: manyPeers, IncludeClients: true, MaxClaims: mostEach, MaxAddressesPerClaim: mostEach}

func peersSession(p *probe) error {
	d, err := p.directory()
	if err != nil {
		return err
	}
	return d.goesOn(1)
}

func peersListed(p *probe) error {
	d, err := p.directory()
	if err != nil {
		return err
	}
	peers, err := d.list(everybody)
	if err != nil {
		return err
	}
	p.note = count(len(peers), "peer")
	return d.goesOn(1)
}

func peersNodes(p *probe) error {
	d, err := p.directory()
	if err != nil {
		return err
	}
	ask := everybody
	ask.IncludeClients = false
	peers, err := d.list(ask)
	if err != nil {
		return err
	}
	for _, peer := range peers {
		for _, c := range peer.Claims {
			if identity.Features(c.Features) != identity.FeatureNode {
				return differs("nodes only, features 3", "%x with features %d", peer.Key, c.Features)
			}
		}
	}
	p.note = count(len(peers), "peer")
	return nil
}

func peersFew(p *probe) error {
	d, err := p.directory()
	if err != nil {
		return err
	}
	ask := everybody
	ask.N = 1
	_, err = d.list(ask)
	return err
}

// refused makes calls that must have this status; the session must live on.
func (d *directory) refused(method uint32, want rpc.Status, requests ...[]byte) error {
	for _, r := range requests {
		items, status, err := d.call(method, r)
		if err == nil && (status != want || len(items) > 0) {
			err = differs(fmt.Sprintf("status %d", want), "status %d after %s", status, count(len(items), "peer"))
		}
		if err != nil {
			return after(fmt.Sprintf("method %d with %s", method, around(r, 0)), err)
		}
	}
	return nil
}

func peersLimits(p *probe) error {
	d, err := p.directory()
	if err != nil {
		return err
	}
	return d.refused(getPeers, rpc.BadRequest,
		wire.GetPeers{N: 1, MaxAddressesPerClaim: 1}.Append(nil), wire.GetPeers{N: 1, MaxClaims: 1}.Append(nil), []byte{0xff})
}

func peersCloser(p *probe) error {
	d, err := p.directory()
	if err != nil {
		return err
	}
	to := p.secret.NodeID()
	ask := wire.GetCloserPeers{N: manyPeers, CloserTo: to[:], IncludeClients: true, MaxClaims: mostEach, MaxAddressesPerClaim: mostEach}
	items, status, err := d.call(getCloserPeers, ask.Append(nil))
	switch {
	case err != nil:
		return err
	case status == rpc.UnsupportedMethod:
		p.note = "it is not served"
		return nil
	case status != rpc.OK:
		return differs("peers, or status 2", "status %d", status)
	}
	peers, err := d.checked(items, manyPeers)
	if err != nil {
		return err
	}
	p.note = "it is served: " + count(len(peers), "peer")
	for i := 1; i < len(peers); i++ {
		near, far := distance(peers[i-1], to), distance(peers[i], to)
		if near.Cmp(far) > 0 {
			return differs("peers in the order of their distances", "%v before %v", near, far)
		}
	}
	with := func(change func(r *wire.GetCloserPeers)) []byte {
		r := ask
		change(&r)
		return r.Append(nil)
	}
	return d.refused(getCloserPeers, rpc.BadRequest,
		with(func(r *wire.GetCloserPeers) { r.N = 0 }),
		with(func(r *wire.GetCloserPeers) { r.N = 101 }),
		with(func(r *wire.GetCloserPeers) { r.MaxClaims = 0 }),
		with(func(r *wire.GetCloserPeers) { r.MaxAddressesPerClaim = 0 }),
		with(func(r *wire.GetCloserPeers) { r.CloserTo = to[:12] }),
		with(func(r *wire.GetCloserPeers) { r.Excluded = [][]byte{to[:12]} }),
	)
}

// distance is that of a peer of a list, whose key is one.
func distance(peer wire.PeerInfo, to identity.NodeID) identity.Distance {
	return identity.PublicKey(peer.Key).NodeID().Distance(to)
}

func peersMethod(p *probe) error {
	d, err := p.directory()
	if err != nil {
		return err
	}
	return d.refused(2, rpc.UnsupportedMethod, nil)
}
