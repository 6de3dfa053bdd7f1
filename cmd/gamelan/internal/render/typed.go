package render

import (
	"io"
	"os"

	"golang.org/x/term"
)

// Typed has a terminal give each key at once, without showing it, and returns the keys. It returns nil if in is no terminal.
// There Ctrl-C is a key and no signal, and a line feed does not begin a line. restore undoes that; until
// the process ends, a key that is typed afterwards may be lost. The channel is closed when the terminal is.
func Typed(in io.Reader) (keys <-chan byte, restore func()) {
	f, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil, func() {}
	}
	was, err := term.MakeRaw(int(f.Fd()))
	if err != nil {
		return nil, func() {}
	}
	typed, over := make(chan byte), make(chan struct{})
	go func() {
		defer close(typed)
		var b [1]byte
		for {
			if n, err := f.Read(b[:]); n == 0 || err != nil {
				return
			}
			select {
			case typed <- b[0]:
			case <-over:
				return
			}
		}
	}()
	return typed, func() {
		close(over)
		_ = term.Restore(int(f.Fd()), was) // nothing can be done about a terminal that is gone
	}
}
