package table

import "github.com/gamelan-p2p/gamelan/kad/overlay"

// View returns the live contacts of now. Buckets without a change are those of the last
// view.
func (t *Table) View() *overlay.View {
	changed := t.view == nil || t.view.Buckets() != len(t.buckets)
	for _, b := range t.buckets {
		changed = changed || b.dirty
	}
	if !changed {
		return t.view
	}
	buckets := make([][]overlay.TableEntry, len(t.buckets))
	for i, b := range t.buckets {
		if t.view != nil && i < t.view.Buckets() && !b.dirty {
			buckets[i] = t.view.Bucket(i)
			continue
		}
		b.dirty = false
		buckets[i] = make([]overlay.TableEntry, len(b.live))
		for j, x := range b.live {
			buckets[i][j] = x.TableEntry
		}
	}
	t.view = overlay.NewView(t.self, buckets)
	return t.view
}
