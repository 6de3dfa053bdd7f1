package seednode

import (
	"bytes"
	"slices"
)

// lookup is a search of a node or a value.
type lookup struct {
	target []byte
	value  bool
	list   []Peer
	asked  map[string]bool
	done   func(found []byte, nearest []Peer)
}

// begin starts a lookup; one under way for the same target is lost.
func (n *Node) begin(l *lookup) {
	l.list = n.table.nearest(l.target, n.config.Concurrency)
	l.asked = map[string]bool{}
	if len(l.list) == 0 {
		l.done(nil, nil)
		return
	}
	n.lookups[string(l.target)] = l
	for _, p := range slices.Clone(l.list) {
		n.ask(l, p)
	}
}

func (n *Node) ask(l *lookup, p Peer) {
	l.asked[string(p.ID)] = true
	tag := ReqFindNode
	if l.value {
		tag = ReqFindValue
	}
	n.request(p, Datagram{Tag: tag, Key: l.target}, func(answer *Datagram) { n.step(l, answer) })
}

// step goes on with a lookup after an answer, or after none, which is nil.
func (n *Node) step(l *lookup, answer *Datagram) {
	if n.lookups[string(l.target)] != l {
		return
	}
	if answer != nil && answer.Tag == ResValueFound && l.value && bytes.Equal(answer.Key, l.target) {
		delete(n.lookups, string(l.target))
		l.done(answer.Value, l.list)
		return
	}
	if answer != nil && answer.Tag == ResListPeers {
		n.heard(l, answer.Peers)
	}
	sortPeers(l.target, l.list)
	for i, p := range l.list {
		if !l.asked[string(p.ID)] {
			if i < n.config.BucketSize+n.config.Concurrency {
				n.ask(l, p)
				return
			}
			break
		}
	}
	// Nobody is left to ask: the lookup ends, whatever is under way.
	delete(n.lookups, string(l.target))
	l.done(nil, l.list[:min(len(l.list), n.config.BucketSize)])
}

func (n *Node) heard(l *lookup, peers []Peer) {
	for _, p := range peers {
		address, _, ok := canonical(p.Address)
		if !ok || bytes.Equal(p.ID, n.id) {
			continue
		}
		p.Address = address
		if !slices.ContainsFunc(l.list, func(q Peer) bool { return bytes.Equal(p.ID, q.ID) }) {
			l.list = append(l.list, p)
		}
		n.learn(p)
	}
}
