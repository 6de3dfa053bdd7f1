package daemon

import (
	"errors"
	"io/fs"
	"log/slog"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/nodedir"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/control"
	"github.com/gamelan-p2p/gamelan/inspect/metrics"
)

// Serve is [control.Serve] with errors for the user. The caller holds the lock of d.
func Serve(d nodedir.Dir, o inspect.Options, actions inspect.Actions, l *slog.Logger) (*control.Server, error) {
	return serveBy(control.Serve, d, o, actions, l)
}

// serveBy is Serve with [control.Serve] or [control.ServeKept].
func serveBy(begin func(string, inspect.Options, inspect.Actions, *slog.Logger) (*control.Server, error), d nodedir.Dir, o inspect.Options, actions inspect.Actions, l *slog.Logger) (*control.Server, error) {
	s, err := begin(d.Path, o, actions, l)
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

// serveMetrics serves metrics at the address of the settings, if there is one.
func (d *daemon) serveMetrics(address string, shown inspect.Options) (err error) {
	if address == "" {
		return nil
	}
	if d.metrics, err = metrics.Serve(address, shown, d.logger); err == nil {
		at := d.metrics.Address()
		d.logger.Info("metrics", "url", "http://"+at.String()+metrics.Path)
		if !at.Addr().IsLoopback() {
			d.logger.Warn("other machines can read the metrics, without a password", "addr", at.String())
		}
		return nil
	}
	if busy, ok := errors.AsType[*metrics.ListenError](err); ok {
		return failure.New("metrics_listen", listenHint("metrics.listen", busy.Err),
			"metrics cannot be served at %s: %s", busy.Address, failure.Text(busy.Err)).Because(err)
	}
	return failure.New("metrics_listen", "set metrics.listen to a port, or to an IP address and a port", "metrics cannot be served: %s", failure.Text(err)).Because(err)
}
