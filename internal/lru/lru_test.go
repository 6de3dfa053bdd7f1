package lru

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestMap compares a Map with a list of its keys.
func TestMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(0, 5).Draw(t, "most")
		m := New[int, int](most)
		var keys []int // oldest first
		values := make(map[int]int)
		for n := range rapid.IntRange(1, 60).Draw(t, "steps") {
			key := rapid.IntRange(0, 8).Draw(t, "key")
			known := slices.Contains(keys, key)
			switch what := rapid.IntRange(0, 3).Draw(t, "what"); what {
			case 0:
				m.Delete(key)
				keys = slices.DeleteFunc(keys, func(k int) bool { return k == key })
			case 1:
				v := m.Get(key)
				if (v != nil) != known || known && *v != values[key] {
					t.Fatalf("get %d: got %v, want %v (%d)", key, v, known, values[key])
				}
			default:
				use := m.Use
				if what == 3 {
					use = m.Keep
				}
				v := use(key)
				if known && *v != values[key] || !known && *v != 0 {
					t.Fatalf("use %d: got %d, known %v, want %d", key, *v, known, values[key])
				}
				if known && what == 2 {
					keys = slices.DeleteFunc(keys, func(k int) bool { return k == key })
				}
				if !known && len(keys) >= max(1, most) {
					keys = keys[1:]
				}
				if !known || what == 2 {
					keys = append(keys, key)
				}
				*v, values[key] = n, n
			}
			var got []int
			for k, v := range m.Newest() {
				if *v != values[k] {
					t.Fatalf("%d: got %d, want %d", k, *v, values[k])
				}
				got = append(got, k)
			}
			slices.Reverse(got)
			if !slices.Equal(got, keys) || m.Len() != len(keys) {
				t.Fatalf("got %v, want %v", got, keys)
			}
			if k, _, ok := m.Oldest(); ok != (len(keys) > 0) || ok && k != keys[0] {
				t.Fatalf("the oldest: got %d, want %v", k, keys)
			}
		}
	})
}
