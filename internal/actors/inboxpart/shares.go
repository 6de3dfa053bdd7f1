package inboxpart

import "github.com/gamelan-p2p/gamelan/identity"

// Over names the sources of a message that came over the DHT: it counts for both.
type Over struct {
	Peer   identity.NodeID    // the peer that brought it
	Author identity.PublicKey // zero: nobody has signed it, and it counts for its peer alone
}

// load is an amount of messages.
type load struct {
	messages int
	bytes    int64
}

func (l load) with(size int) load      { return load{l.messages + 1, l.bytes + int64(size)} }
func (l *load) add(size int)           { l.messages++; l.bytes += int64(size) }
func (l *load) remove(size int)        { l.messages--; l.bytes -= int64(size) }
func (l load) within(m load) bool      { return l.messages <= m.messages && l.bytes <= m.bytes }
func (l load) plus(o load) load        { return load{l.messages + o.messages, l.bytes + o.bytes} }
func (l load) minus(o load) load       { return load{l.messages - o.messages, l.bytes - o.bytes} }
func (l load) least(o load) load       { return load{min(l.messages, o.messages), min(l.bytes, o.bytes)} }
func (l load) part(n int) load         { return load{l.messages / n, l.bytes / int64(n)} }
func (l load) reaches(limit load) bool { return l.messages >= limit.messages || l.bytes >= limit.bytes }

// mayAdd reports whether a source with that load may have a message of n bytes more, when a
// source may have one part of so many of what is free for all.
func (l load) mayAdd(n, part int, free load) bool {
	if l.messages == 0 {
		return free.messages >= 1 && int64(n) <= free.bytes/firstPart
	}
	return l.with(n).within(free.part(part))
}

// An author may have a quarter of what is free for messages over the DHT, so at most a fifth
// of all their room. A peer may have half of what is free, so at most a third of the room: it
// may bring messages of many authors, of whom one at its limit leaves room to the others. The
// first message of either may be as large as half of what is free.
const (
	authorPart = 4
	peerPart   = 2
	firstPart  = 2
)

// shares counts the messages of each source.
type shares[K comparable] struct {
	index map[K]int32
	list  []share[K]
	free  []int32 // indexes in list
}

type share[K comparable] struct {
	key K
	load
}

func newShares[K comparable]() shares[K] { return shares[K]{index: make(map[K]int32)} }

// of returns what the source has.
func (s *shares[K]) of(key K) load {
	if i, ok := s.index[key]; ok {
		return s.list[i].load
	}
	return load{}
}

// add counts one more message of the source, and returns the index of its share.
func (s *shares[K]) add(key K, size int) int32 {
	i, ok := s.index[key]
	if !ok {
		if n := len(s.free); n > 0 {
			i, s.free = s.free[n-1], s.free[:n-1]
		} else {
			i = int32(len(s.list))
			s.list = append(s.list, share[K]{})
		}
		s.list[i] = share[K]{key: key}
		s.index[key] = i
	}
	s.list[i].load.add(size)
	return i
}

// remove counts one message less in the share, and removes an empty share.
func (s *shares[K]) remove(i int32, size int) {
	x := &s.list[i]
	if x.load.remove(size); x.messages == 0 {
		delete(s.index, x.key)
		s.free = append(s.free, i)
	}
}

// none is the index of no share.
const none = -1

// sources are the shares of an entry; peer is none if it is a plain message, and author if
// nobody has signed it.
type sources struct{ peer, author int32 }

// overDHT counts messages over the DHT, in all and for each of their sources.
type overDHT struct {
	load
	peers   shares[identity.NodeID]
	authors shares[identity.PublicKey]
}

func newOverDHT() overDHT {
	return overDHT{peers: newShares[identity.NodeID](), authors: newShares[identity.PublicKey]()}
}

// mayAdd reports whether a message fits into what is free, and its sources have not more than
// their shares of that.
func (o *overDHT) mayAdd(from *Over, size int, free load) bool {
	return o.peers.of(from.Peer).mayAdd(size, peerPart, free) && (from.Author.IsZero() || o.authors.of(from.Author).mayAdd(size, authorPart, free))
}

// add counts one message more.
func (o *overDHT) add(from *Over, size int) sources {
	o.load.add(size)
	s := sources{o.peers.add(from.Peer, size), none}
	if !from.Author.IsZero() {
		s.author = o.authors.add(from.Author, size)
	}
	return s
}

// remove counts one message less.
func (o *overDHT) remove(s sources, size int) {
	o.load.remove(size)
	o.peers.remove(s.peer, size)
	if s.author != none {
		o.authors.remove(s.author, size)
	}
}
