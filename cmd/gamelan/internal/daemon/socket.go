package daemon

import (
	"errors"
	"io/fs"
	"log/slog"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/nodedir"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/control"
)

// Serve is [control.Serve] with errors for the user. The caller holds the lock of d.
func Serve(d nodedir.Dir, o inspect.Options, actions inspect.Actions, l *slog.Logger) (*control.Server, error) {
	s, err := control.Serve(d.Path, o, actions, l)
	if err == nil {
		return s, nil
	}
	if long, ok := errors.AsType[*inspect.PathTooLongError](err); ok {
		return nil, failure.New("data_dir", "choose a shorter one with --data-dir", "the path of %s is too long for the node's socket by %s", d.Path, inspect.Count(uint64(long.Over), "byte"))
	}
	if p, ok := errors.AsType[*fs.PathError](err); ok && p.Path == d.TokenFile() {
		return nil, nodedir.Unusable(d.TokenFile(), p.Err)
	}
	return nil, nodedir.Unusable(d.Socket(), err)
}
