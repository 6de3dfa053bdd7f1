package anchors

import (
	"errors"
	"os"

	"github.com/gamelan-p2p/gamelan/bench/harness"
)

// Sync is limits/sync-N: n bytes that are appended to a file and synced, one write at a time.
func Sync(n int) harness.Case {
	return harness.Case{Name: "limits/sync-" + size(n), Run: func(m *harness.Meter) (err error) {
		f, err := os.CreateTemp("", "bench-sync-")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
		msg := body(n)
		return m.Loop(5, func() error {
			if _, err := f.Write(msg); err != nil {
				return err
			}
			return f.Sync()
		})
	}}
}
