package peerstore

import "iter"

// Texts yields the node ids and public keys of peers as text, "" for an unknown key.
func Texts(peers iter.Seq[Peer]) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for p := range peers {
			key := ""
			if !p.Key.IsZero() {
				key = p.Key.String()
			}
			if !yield(p.ID.String(), key) {
				return
			}
		}
	}
}
