package inspect

import (
	"net/http"
)

// maxPeerFile bounds the body of POST /v1/peers:import, in bytes.
const maxPeerFile = 1 << 30

// exportPeers streams all peer records. An error breaks the answer off, so that the
// client does not take a part for the whole.
func (h *handler) exportPeers(w http.ResponseWriter, r *http.Request) {
	q := newQuery(r)
	switch {
	case q.err != nil:
		fail(w, q.err)
		return
	case h.ExportPeers == nil:
		notFound(w, "this node does not export its peers", "export them in the program that runs it")
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if err := h.ExportPeers(r.Context(), w); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// importPeers imports peers from an export.
func (m *mutations) importPeers(w http.ResponseWriter, r *http.Request) {
	q := newQuery(r)
	switch {
	case q.err != nil:
		fail(w, q.err)
		return
	case m.ImportPeers == nil:
		notFound(w, "peers cannot be imported from here", "import them in the program that runs the node")
		return
	}
	m.tell("admin.peers.import")
	v, err := m.ImportPeers(r.Context(), http.MaxBytesReader(w, r.Body, maxPeerFile))
	answer(w, v, err)
}
