//go:build unix

package torconn_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/internal/transport/torconn"
	"github.com/gamelan-p2p/gamelan/transport/tor"
)

// TestReadCookie reads the first of several files that exists, and none that others can change.
func TestReadCookie(t *testing.T) {
	dir := t.TempDir()
	none, first, second, open := filepath.Join(dir, "none"), filepath.Join(dir, "first"), filepath.Join(dir, "second"), filepath.Join(dir, "open")
	for file, text := range map[string]string{first: strings.Repeat("1", 100), second: "2", open: "3"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(open, 0o666); err != nil {
		t.Fatal(err)
	}
	me := strconv.Itoa(os.Geteuid())
	for _, c := range []struct {
		files   []string
		account string
		text    string
		err     any
	}{
		{[]string{none, first, second}, "", strings.Repeat("1", tor.CookieLen+1), nil},
		{[]string{second, first}, "root", "2", nil},
		{[]string{second}, me, "2", nil},
		{[]string{open, first}, "", "", new(*tor.UnsafeError)},
		{[]string{none}, "", "", fs.ErrNotExist},
		{[]string{first}, "no such account", "", new(*torconn.AccountError)},
		{[]string{first}, "-1", "", new(*torconn.AccountError)},
	} {
		b, file, err := torconn.ReadCookie(c.files, c.account)
		switch want := c.err.(type) {
		case nil:
			if err != nil || string(b) != c.text || file.Owner != os.Geteuid() || !strings.Contains(strings.Join(c.files, " "), file.Path) {
				t.Errorf("%v as %q: got %q of %+v, %v, want %q", c.files, c.account, b, file, err, c.text)
			}
		case error:
			if !errors.Is(err, want) {
				t.Errorf("%v as %q: got %v, want %v", c.files, c.account, err, want)
			}
		default:
			if !errors.As(err, want) {
				t.Errorf("%v as %q: got %v, want %T", c.files, c.account, err, want)
			}
		}
	}
}
