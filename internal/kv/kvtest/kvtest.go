// Package kvtest is the suite that every store of package kv passes.
package kvtest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/gamelan-p2p/gamelan/internal/kv"
)

// Conformance runs the suite; open returns a new, empty store each time.
func Conformance(t *testing.T, open func(t *testing.T) kv.DB) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, db kv.DB)
	}{
		{"get and set", getAndSet},
		{"last change counts", lastCounts},
		{"values are copies", copies},
		{"scan in order", scanOrder},
		{"scan bounds", scanBounds},
		{"scan from a key", scanFrom},
		{"scan ends early", scanEarly},
		{"scan sees one moment", scanMoment},
		{"reserved keys", reserved},
		{"closed", closed},
		{"concurrent use", concurrent},
	} {
		t.Run(c.name, func(t *testing.T) {
			db := open(t)
			c.run(t, db)
			if err := db.Close(); err != nil {
				t.Errorf("close: got %v, want nil", err)
			}
		})
	}
}

// Set applies one change, as a short form for tests.
func Set(t *testing.T, db kv.DB, key, value string) {
	t.Helper()
	var b kv.Batch
	b.Set([]byte(key), []byte(value))
	if err := db.Apply(&b, true); err != nil {
		t.Fatalf("set %q: got %v, want nil", key, err)
	}
}

// All returns the entries below prefix as "key=value".
func All(t *testing.T, db kv.DB, prefix string) (got []string) {
	t.Helper()
	entries, scanErr := db.Scan([]byte(prefix))
	for k, v := range entries {
		got = append(got, string(k)+"="+string(v))
	}
	if err := scanErr(); err != nil {
		t.Fatalf("scan %q: got %v, want nil", prefix, err)
	}
	return got
}

func wantGet(t *testing.T, db kv.DB, key, want string) {
	t.Helper()
	got, err := db.Get([]byte(key))
	if err != nil || string(got) != want {
		t.Errorf("get %q: got %q, %v, want %q", key, got, err, want)
	}
}

func wantAll(t *testing.T, db kv.DB, prefix string, want ...string) {
	t.Helper()
	if got := All(t, db, prefix); !slices.Equal(got, want) {
		t.Errorf("scan %q: got %q, want %q", prefix, got, want)
	}
}

func getAndSet(t *testing.T, db kv.DB) {
	if _, err := db.Get([]byte("a")); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("got %v for a key that is not there, want ErrNotFound", err)
	}
	Set(t, db, "a", "1")
	Set(t, db, "empty", "")
	wantGet(t, db, "a", "1")
	wantGet(t, db, "empty", "")
	Set(t, db, "a", "2")
	wantGet(t, db, "a", "2")
	var b kv.Batch
	b.Delete([]byte("a"))
	b.Delete([]byte("never"))
	b.Set([]byte("b"), []byte("3"))
	if b.Len() != 3 {
		t.Errorf("got batch of %d, want 3", b.Len())
	}
	if err := db.Apply(&b, false); err != nil {
		t.Fatalf("apply: got %v, want nil", err)
	}
	wantAll(t, db, "", "b=3", "empty=")
	if err := db.Apply(&kv.Batch{}, true); err != nil {
		t.Errorf("empty batch: got %v, want nil", err)
	}
}

func lastCounts(t *testing.T, db kv.DB) {
	var b kv.Batch
	b.Set([]byte("a"), []byte("1"))
	b.Delete([]byte("a"))
	b.Delete([]byte("b"))
	b.Set([]byte("b"), []byte("1"))
	b.Set([]byte("b"), []byte("2"))
	if err := db.Apply(&b, false); err != nil {
		t.Fatalf("apply: got %v, want nil", err)
	}
	wantAll(t, db, "", "b=2")
}

func copies(t *testing.T, db kv.DB) {
	Set(t, db, "a", "xyz")
	got, err := db.Get([]byte("a"))
	if err != nil {
		t.Fatal(err)
	}
	got[0] = '!'
	wantGet(t, db, "a", "xyz")
	value := []byte("abc")
	var b kv.Batch
	b.Set([]byte("b"), value)
	if err := db.Apply(&b, false); err != nil {
		t.Fatal(err)
	}
	value[0] = '!'
	wantGet(t, db, "b", "abc")
}

func scanOrder(t *testing.T, db kv.DB) {
	for _, k := range []string{"p\xff", "p", "q", "pb", "pa\x00", "pa", "o"} {
		Set(t, db, k, "")
	}
	wantAll(t, db, "p", "p=", "pa=", "pa\x00=", "pb=", "p\xff=")
	wantAll(t, db, "", "o=", "p=", "pa=", "pa\x00=", "pb=", "p\xff=", "q=")
	wantAll(t, db, "z")
}

func scanBounds(t *testing.T, db kv.DB) {
	for _, k := range []string{"\xfe", "\xff", "\xff\xff", "\xff\xff\x01", "\x01"} {
		Set(t, db, k, "")
	}
	wantAll(t, db, "\xff", "\xff=", "\xff\xff=", "\xff\xff\x01=")
	wantAll(t, db, "\xff\xff", "\xff\xff=", "\xff\xff\x01=")
	wantAll(t, db, "\xfe", "\xfe=")
	wantAll(t, db, "", "\x01=", "\xfe=", "\xff=", "\xff\xff=", "\xff\xff\x01=")
}

func scanFrom(t *testing.T, db kv.DB) {
	for _, k := range []string{"o", "pa", "pc", "q"} {
		Set(t, db, k, "")
	}
	for _, tt := range []struct {
		first string
		want  []string
	}{
		{"", []string{"pa", "pc"}},
		{"a", []string{"pa", "pc"}},
		{"pa", []string{"pa", "pc"}},
		{"pa\x00", []string{"pc"}},
		{"pb", []string{"pc"}},
		{"pd", nil},
		{"q", nil},
		{"z", nil},
	} {
		var got []string
		entries, scanErr := db.ScanFrom([]byte("p"), []byte(tt.first))
		for k := range entries {
			got = append(got, string(k))
		}
		if err := scanErr(); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("from %q: got %q, %v, want %q", tt.first, got, err, tt.want)
		}
	}
}

func scanEarly(t *testing.T, db kv.DB) {
	for i := range 100 {
		Set(t, db, fmt.Sprintf("k%02d", i), "")
	}
	n := 0
	entries, scanErr := db.Scan([]byte("k"))
	for range entries {
		if n++; n == 3 {
			break
		}
	}
	if err := scanErr(); err != nil || n != 3 {
		t.Errorf("got %d entries and %v, want 3 and nil", n, err)
	}
	n = 0
	for range entries { // again from the start
		n++
	}
	if n != 100 {
		t.Errorf("got %d entries the second time, want 100", n)
	}
}

func scanMoment(t *testing.T, db kv.DB) {
	Set(t, db, "a", "1")
	Set(t, db, "b", "1")
	var got []string
	entries, scanErr := db.Scan(nil)
	for k, v := range entries {
		got = append(got, string(k)+"="+string(v))
		Set(t, db, "b", "2")
		Set(t, db, "c", "2")
	}
	if want := []string{"a=1", "b=1"}; scanErr() != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, scanErr(), want)
	}
	wantAll(t, db, "", "a=1", "b=2", "c=2")
}

func reserved(t *testing.T, db kv.DB) {
	for _, key := range [][]byte{nil, {}, {0}, []byte("\x00schema")} {
		var b kv.Batch
		b.Set([]byte("good"), nil)
		b.Set(key, nil)
		if err := db.Apply(&b, false); !errors.Is(err, kv.ErrBadKey) {
			t.Errorf("set %q: got %v, want ErrBadKey", key, err)
		}
		if _, err := db.Get(key); !errors.Is(err, kv.ErrBadKey) {
			t.Errorf("get %q: got %v, want ErrBadKey", key, err)
		}
	}
	wantAll(t, db, "")
}

func closed(t *testing.T, db kv.DB) {
	Set(t, db, "a", "1")
	entries, scanErr := db.Scan(nil)
	if err := db.Close(); err != nil {
		t.Fatalf("close: got %v, want nil", err)
	}
	if _, err := db.Get([]byte("a")); !errors.Is(err, kv.ErrClosed) {
		t.Errorf("get: got %v, want ErrClosed", err)
	}
	var b kv.Batch
	b.Set([]byte("a"), nil)
	if err := db.Apply(&b, true); !errors.Is(err, kv.ErrClosed) {
		t.Errorf("apply: got %v, want ErrClosed", err)
	}
	for range entries {
		t.Error("got an entry of a closed store, want none")
	}
	if err := scanErr(); !errors.Is(err, kv.ErrClosed) {
		t.Errorf("scan: got %v, want ErrClosed", err)
	}
}

// concurrent has writers that always change two keys together, and readers that
// must never see one without the other.
func concurrent(t *testing.T, db kv.DB) {
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 50 {
				var b kv.Batch
				v := fmt.Appendf(nil, "%d-%d", w, i)
				b.Set([]byte("left"), v)
				b.Set([]byte("right"), v)
				if err := db.Apply(&b, i%10 == 0); err != nil {
					t.Errorf("apply: got %v, want nil", err)
				}
			}
		})
	}
	for range 2 {
		wg.Go(func() {
			for range 100 {
				var seen [][]byte
				entries, scanErr := db.Scan(nil)
				for _, v := range entries {
					seen = append(seen, bytes.Clone(v))
				}
				if err := scanErr(); err != nil {
					t.Errorf("scan: got %v, want nil", err)
				}
				if len(seen) == 2 && !bytes.Equal(seen[0], seen[1]) {
					t.Errorf("got half a batch: %s and %s, want both alike", seen[0], seen[1])
				}
			}
		})
	}
	wg.Wait()
}
