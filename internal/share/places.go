package share

// Places are what all together may have at once, with a limit for each connection and each source.
// One that this node has dialled counts for no source. It is not safe for concurrent use.
type Places struct {
	OfConn, OfSource, All int // limits

	conns   map[uint64]int
	sources map[Source]int
	total   int
}

// Take takes a place for a connection. ok is false if there is none.
func (p *Places) Take(conn uint64, from Source) (ok bool) {
	if p.total >= p.All || p.conns[conn] >= p.OfConn || from != None && p.sources[from] >= p.OfSource {
		return false
	}
	if p.conns == nil {
		p.conns, p.sources = make(map[uint64]int), make(map[Source]int)
	}
	p.total++
	p.conns[conn]++
	p.sources[from]++
	return true
}

// Free gives back a place that Take has given.
func (p *Places) Free(conn uint64, from Source) {
	p.total--
	if p.conns[conn]--; p.conns[conn] == 0 {
		delete(p.conns, conn)
	}
	if p.sources[from]--; p.sources[from] == 0 {
		delete(p.sources, from)
	}
}
