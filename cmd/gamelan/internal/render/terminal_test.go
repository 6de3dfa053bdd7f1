package render

import (
	"os"
	"testing"
)

// TestTerminal writes text in pieces, which may end within a character.
func TestTerminal(t *testing.T) {
	for _, tt := range []struct {
		pieces []string
		want   string
	}{
		{[]string{"plain\tä 日\n", "next\n"}, "plain\tä 日\nnext\n"},
		{[]string{"\x1b[2J\r\u009b\u202e\x9b"}, `\x1b[2J\r\u009b\u202e\x9b`},
		{[]string{"\x1b", "[2J"}, `\x1b[2J`},
		{[]string{"\xe6", "\x97", "\xa5\n"}, "日\n"},
		{[]string{"\xe6\x97", "x"}, `\xe6\x97x`},
		{[]string{"end\xe6\x97"}, `end\xe6\x97`},
		{[]string{"\xe2\x80", "\xae"}, `\u202e`},
	} {
		f, err := os.CreateTemp(t.TempDir(), "terminal")
		if err != nil {
			t.Fatal(err)
		}
		o := &Output{Out: &Terminal{file: f}}
		for _, piece := range tt.pieces {
			if n, err := o.Out.Write([]byte(piece)); n != len(piece) || err != nil {
				t.Errorf("%q: got %d, %v", piece, n, err)
			}
		}
		o.Flush()
		if err := Styled(o.Out, "\x1b[1mbold\x1b[0m\x1b[2J\n"); err != nil {
			t.Error(err)
		}
		got, err := os.ReadFile(f.Name())
		if want := tt.want + "\x1b[1mbold\x1b[0m\\x1b[2J\n"; err != nil || string(got) != want {
			t.Errorf("%q: got %q, %v, want %q", tt.pieces, got, err, want)
		}
		f.Close()
	}
}
