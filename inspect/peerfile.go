package inspect

import "net/http"

// maxPeerFile bounds the body of POST /v1/peers:import, in bytes.
const maxPeerFile = 1 << 30

// exportPeers streams all peer records. An error breaks the answer off, so that the
// client does not take a part for the whole.
func (h *handler) exportPeers(w http.ResponseWriter, r *http.Request, _ *query) (any, error) {
	if h.ExportPeers == nil {
		return nil, notFound("this node does not export its peers", "export them in the program that runs it")
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if err := h.ExportPeers(r.Context(), w); err != nil {
		panic(http.ErrAbortHandler)
	}
	return done, nil
}

// importPeers imports peers from an export.
func (m *mutations) importPeers(w http.ResponseWriter, r *http.Request, _ *query) (any, error) {
	if m.ImportPeers == nil {
		return nil, notFound("peers cannot be imported from here", "import them in the program that runs the node")
	}
	m.tell("admin.peers.import")
	return m.ImportPeers(r.Context(), http.MaxBytesReader(w, r.Body, maxPeerFile))
}
