package nodedir

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/replace"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/internal/datadir"
)

// maxToken bounds the file of the token, in bytes.
const maxToken = 4 << 10

// NewToken returns a random token for this run, and writes it to a file for clients.
func (d Dir) NewToken() (inspect.Token, error) {
	t, err := inspect.NewToken(rand.Reader)
	if err != nil {
		return t, err
	}
	if err := replace.File(d.TokenFile(), strings.NewReader(t.Reveal()+"\n")); err != nil {
		return t, Unusable(d.TokenFile(), err)
	}
	return t, nil
}

// ReadToken reads the token that the running node has written. The error is
// fs.ErrNotExist if there is none, and a failure in every other case.
func (d Dir) ReadToken() (inspect.Token, error) {
	var b []byte
	dir, err := datadir.Look(d.Path) // may belong to another user: root may ask any node
	if err == nil {
		defer dir.Close()
		b, _, err = dir.ReadFile(filepath.Base(d.TokenFile()), maxToken, false)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return inspect.Token{}, err
	}
	if err != nil {
		return inspect.Token{}, Unusable(d.TokenFile(), err)
	}
	t, err := inspect.ParseToken(string(b))
	if err != nil {
		return inspect.Token{}, failure.New("token", "start the node again: it writes a new one", "%s is damaged", d.TokenFile()).Because(err)
	}
	return t, nil
}
