//go:build !nodisk

package kv

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// image is every file of a store.
type image map[string][]byte

// imageOf copies a store, which may be open: Pebble makes and removes files in
// the background, so it tries until nothing has changed meanwhile.
func imageOf(t *testing.T, files vfs.FS, dir string) image {
	t.Helper()
	for range 1000 {
		before, err := files.List(dir)
		check(t, err)
		m := make(image)
		for _, name := range before {
			f, err := files.Open(filepath.Join(dir, name))
			if isNotExist(err) {
				break
			}
			check(t, err)
			m[name], err = io.ReadAll(f)
			check(t, errors.Join(err, f.Close()))
		}
		after, err := files.List(dir)
		check(t, err)
		slices.Sort(before)
		slices.Sort(after)
		if len(m) == len(before) && slices.Equal(before, after) {
			return m
		}
	}
	t.Fatal("got a store that never rests")
	return nil
}

// files returns a file system in memory with the image in /store, in which
// there is room for everything without a trial, since there are many of them.
func (m image) files(t *testing.T) vfs.FS {
	t.Helper()
	mem := vfs.NewMem()
	check(t, mem.MkdirAll("/store", 0o700))
	for name, b := range m {
		f, err := mem.Create(filepath.Join("/store", name), vfs.WriteCategoryUnspecified)
		check(t, err)
		_, err = f.Write(bytes.Clone(b))
		check(t, errors.Join(err, f.Close()))
	}
	return roomy{mem}
}

type roomy struct{ vfs.FS }

func (r roomy) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := r.FS.Create(name, category)
	if err == nil && filepath.Ext(name) == ".PROBE" {
		return swallowing{f}, nil
	}
	return f, err
}

type swallowing struct{ vfs.File }

func (swallowing) Write(p []byte) (int, error) { return len(p), nil }

func (m image) with(name string, b []byte) image {
	c := make(image, len(m))
	maps.Copy(c, m)
	if c[name] = b; b == nil {
		delete(c, name)
	}
	return c
}

// stages are stores as they are found after a kill, after a close, and after
// both, with everything in it.
func stages(t *testing.T) map[string]struct {
	image image
	want  string
} {
	type stage = struct {
		image image
		want  string
	}
	all := make(map[string]stage)
	mem := vfs.NewMem()
	db, err := openPebble("/store", mem)
	check(t, err)
	write := func(from, to int) {
		for i := from; i < to; i++ {
			var b Batch
			for j := range 5 {
				b.Set(fmt.Appendf(nil, "key %d", (7*i+j)%100), fmt.Appendf(nil, "%d of %s", i, strings.Repeat("value", 10)))
			}
			b.Delete(fmt.Appendf(nil, "key %d", 3*i%100))
			check(t, db.Apply(&b, i%4 > 0 || i == to-1))
		}
	}
	dump := func() string {
		var b strings.Builder
		entries, scanErr := db.Scan(nil)
		for k, v := range entries {
			fmt.Fprintf(&b, "%s=%s\n", k, v)
		}
		check(t, scanErr())
		return b.String()
	}
	write(0, 40)
	all["killed, all in the log"] = stage{imageOf(t, mem, "/store"), dump()}
	check(t, db.db.Flush())
	write(40, 60)
	all["killed, table and log"] = stage{imageOf(t, mem, "/store"), dump()}
	check(t, db.Close())
	all["closed"] = stage{imageOf(t, mem, "/store"), all["killed, table and log"].want}
	db, err = openPebble("/store", mem)
	check(t, err)
	all["opened again"] = stage{imageOf(t, mem, "/store"), all["closed"].want}
	write(60, 100)
	check(t, db.db.Compact(t.Context(), []byte{0}, []byte{0xff}, false))
	write(100, 110)
	check(t, db.db.Flush())
	want := dump()
	check(t, db.Close())
	all["several tables, closed"] = stage{imageOf(t, mem, "/store"), want}
	return all
}

// outcome opens a store and reports what is wrong when it gives anything but
// what it held, and no error that says what to do.
func outcome(files vfs.FS, want string) (found bool, wrong string) {
	db, err := openPebble("/store", files)
	if err == nil {
		var b strings.Builder
		entries, scanErr := db.Scan(nil)
		for k, v := range entries {
			fmt.Fprintf(&b, "%s=%s\n", k, v)
		}
		err = scanErr()
		if err == nil && b.String() != want {
			wrong = fmt.Sprintf("got a store of %d bytes, want an error or all %d", b.Len(), len(want))
		}
		_ = db.Close()
	}
	if err == nil {
		return false, wrong
	}
	var e *DirError
	switch {
	case !errors.As(err, &e) || e.Remedy == "" || e.Cause == nil:
		return true, fmt.Sprintf("got %v, want a DirError with cause and remedy", err)
	case !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNewerSchema):
		return true, fmt.Sprintf("got %v, want ErrCorrupt", err)
	}
	return true, ""
}

// TestDamageIsNeverServed flips bits of every file, cuts it, clears parts of it
// and removes it: the store opens with everything that was acknowledged, or
// says that it is damaged.
func TestDamageIsNeverServed(t *testing.T) {
	trials := 20
	if testing.Short() || raceEnabled {
		trials = 12
	}
	if os.Getenv("GAMELAN_LONG") != "" {
		trials = 500
	}
	seed := uint64(1)
	if os.Getenv("GAMELAN_LONG") != "" {
		seed = rand.Uint64()
	}
	r := rand.New(rand.NewPCG(seed, 1))
	all := stages(t)
	for _, name := range slices.Sorted(maps.Keys(all)) { // so that the seed says everything
		stage := all[name]
		if _, wrong := outcome(stage.image.files(t), stage.want); wrong != "" {
			t.Fatalf("%s, undamaged: %s", name, wrong)
		}
		hits := 0
		try := func(file, what string, b []byte) {
			found, wrong := outcome(stage.image.with(file, b).files(t), stage.want)
			if wrong != "" {
				t.Errorf("%s, %s %s (seed %d): %s", name, file, what, seed, wrong)
			}
			if found {
				hits++
			}
		}
		for _, file := range slices.Sorted(maps.Keys(stage.image)) {
			b := stage.image[file]
			if file != "LOCK" {
				try(file, "removed", nil)
			}
			if len(b) == 0 {
				continue
			}
			try(file, "emptied", []byte{})
			try(file, "less its last byte", b[:len(b)-1])
			for range trials {
				at := r.IntN(len(b))
				flipped := bytes.Clone(b)
				flipped[at] ^= 1 << r.IntN(8)
				try(file, fmt.Sprintf("flipped at %d of %d", at, len(b)), flipped)
				if r.IntN(3) == 0 {
					try(file, fmt.Sprintf("cut at %d of %d", at, len(b)), b[:at])
				}
				if r.IntN(6) == 0 {
					cleared := bytes.Clone(b)
					clear(cleared[at:min(at+512, len(b))])
					try(file, fmt.Sprintf("cleared at %d of %d", at, len(b)), cleared)
				}
			}
		}
		if hits == 0 {
			t.Errorf("%s: got no error at all, want some", name)
		}
	}
}

// TestManifestEndIsNotTheEnd flips every byte of the manifest, whose damaged end
// Pebble takes for its end.
func TestManifestEndIsNotTheEnd(t *testing.T) {
	stage := stages(t)["several tables, closed"]
	for file, b := range stage.image {
		if !strings.HasPrefix(file, "MANIFEST-") {
			continue
		}
		for at := range b {
			flipped := bytes.Clone(b)
			flipped[at] ^= 0x04
			if _, wrong := outcome(stage.image.with(file, flipped).files(t), stage.want); wrong != "" {
				t.Errorf("%s flipped at %d of %d: %s", file, at, len(b), wrong)
			}
		}
	}
}

// TestOlderCopyIsFound puts an older copy of the database under a newer witness.
func TestOlderCopyIsFound(t *testing.T) {
	all := stages(t)
	mixed := all["killed, all in the log"].image.with(witnessName, all["closed"].image[witnessName])
	found, wrong := outcome(mixed.files(t), "")
	if !found || wrong != "" {
		t.Errorf("got %v, %q, want ErrCorrupt", found, wrong)
	}
	empty := image{witnessName: all["closed"].image[witnessName]}
	if found, wrong := outcome(empty.files(t), ""); !found || wrong != "" {
		t.Errorf("the database removed: got %v, %q, want ErrCorrupt", found, wrong)
	}
}
