package dht

import "github.com/gamelan-p2p/gamelan/identity"

// shares counts the records of each peer that a message first came from, and finds the
// peer with most records in constant time.
type shares struct {
	index map[identity.NodeID]int32
	list  []share
	free  []int32 // places in list
	ranks []rank  // ranks[n-1] are the shares of n records
	most  int     // the largest n
}

// share is the records of one peer, in the order of their last hits.
type share struct {
	id   identity.NodeID
	n    int
	hits chain

	before, after int32 // in the rank; -1: none
}

// rank is a list of the shares of one size; the share that has had the size for longest
// is first.
type rank struct{ first, last int32 }

func newShares() shares { return shares{index: make(map[identity.NodeID]int32)} }

// add counts one more record of the peer and returns the index of its share.
func (s *shares) add(id identity.NodeID) int32 {
	i, ok := s.index[id]
	if !ok {
		if n := len(s.free); n > 0 {
			i, s.free = s.free[n-1], s.free[:n-1]
		} else {
			i = int32(len(s.list))
			s.list = append(s.list, share{})
		}
		s.list[i] = share{id: id, hits: noChain}
		s.index[id] = i
	}
	s.set(i, s.list[i].n+1)
	return i
}

// remove counts one record less in the share, and removes an empty share.
func (s *shares) remove(i int32) {
	s.set(i, s.list[i].n-1)
	if s.list[i].n == 0 {
		delete(s.index, s.list[i].id)
		s.free = append(s.free, i)
	}
}

// largest returns the largest share; of several, the one that has had that size for
// longest. There must be a share.
func (s *shares) largest() int32 { return s.ranks[s.most-1].first }

// set moves the share to the rank of size n, which is one more or less than its size.
func (s *shares) set(i int32, n int) {
	x := &s.list[i]
	if x.n > 0 {
		r := &s.ranks[x.n-1]
		if x.before >= 0 {
			s.list[x.before].after = x.after
		} else {
			r.first = x.after
		}
		if x.after >= 0 {
			s.list[x.after].before = x.before
		} else {
			r.last = x.before
		}
	}
	x.n, x.before, x.after = n, -1, -1
	if n > 0 {
		if n > len(s.ranks) {
			s.ranks = append(s.ranks, rank{-1, -1})
		}
		r := &s.ranks[n-1]
		if x.before = r.last; r.last >= 0 {
			s.list[r.last].after = i
		} else {
			r.first = i
		}
		r.last = i
	}
	if s.most = max(s.most, n); s.most > 0 && s.ranks[s.most-1].first < 0 {
		s.most-- // the share was the only one of that size
	}
}

// links are the neighbours of a record in a [chain]; -1: none.
type links struct{ newer, older int32 }

// chain is a list of records in the order of their last hits, linked by one pair of
// their links.
type chain struct{ newest, oldest int32 }

var noChain = chain{-1, -1}

// link makes the record the newest of the chain. Of returns a record's links in it.
func (c *chain) link(i int32, of func(int32) *links) {
	*of(i) = links{newer: -1, older: c.newest}
	if c.newest >= 0 {
		of(c.newest).newer = i
	} else {
		c.oldest = i
	}
	c.newest = i
}

// unlink takes the record out of the chain, if it is in it.
func (c *chain) unlink(i int32, of func(int32) *links) {
	x := of(i)
	switch {
	case x.newer >= 0:
		of(x.newer).older = x.older
	case c.newest == i:
		c.newest = x.older
	default:
		return
	}
	if x.older >= 0 {
		of(x.older).newer = x.newer
	} else {
		c.oldest = x.newer
	}
	*x = links{-1, -1}
}
