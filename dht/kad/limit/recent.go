package limit

// recent remembers values by key, up to a limit; the one that was not used for the longest
// time makes way.
type recent[K comparable, V any] struct {
	limit int
	items map[K]*item[K, V]
	ends  item[K, V] // next is the oldest, previous the newest
}

type item[K comparable, V any] struct {
	key            K
	value          V
	previous, next *item[K, V]
}

func newRecent[K comparable, V any](limit int) *recent[K, V] {
	r := &recent[K, V]{limit: max(1, limit), items: map[K]*item[K, V]{}}
	r.ends.previous, r.ends.next = &r.ends, &r.ends
	return r
}

func (r *recent[K, V]) len() int { return len(r.items) }

// get returns the value of a key, without using it, and nil if there is none.
func (r *recent[K, V]) get(key K) *V {
	if it := r.items[key]; it != nil {
		return &it.value
	}
	return nil
}

// use returns the value of a key, which is now the newest one. A new one is zero.
func (r *recent[K, V]) use(key K) *V {
	it := r.items[key]
	if it != nil {
		it.unlink()
	} else {
		if len(r.items) >= r.limit {
			r.delete(r.ends.next.key)
		}
		it = &item[K, V]{key: key}
		r.items[key] = it
	}
	it.previous, it.next = r.ends.previous, &r.ends
	it.previous.next, it.next.previous = it, it
	return &it.value
}

// oldest returns the key and value that will make way next.
func (r *recent[K, V]) oldest() (key K, value *V, ok bool) {
	it := r.ends.next
	return it.key, &it.value, it != &r.ends
}

func (r *recent[K, V]) delete(key K) {
	if it := r.items[key]; it != nil {
		it.unlink()
		delete(r.items, key)
	}
}

func (it *item[K, V]) unlink() {
	it.previous.next, it.next.previous = it.next, it.previous
}
