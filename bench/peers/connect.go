package peers

import (
	"errors"
	"time"

	"github.com/gamelan-p2p/gamelan/bench/harness"
)

// connects is how many connections are made one after another, as often as there
// is time for.
const connects = 20

// Connect is FROM/connect+close, or FROM>TO/connect+close: dial, up to the end
// of the identity exchange, and disconnect, one connection after another. CPU
// is that of both processes, for what failed and was tried again as well.
func Connect(from, to Kind) harness.Case {
	return harness.Case{Name: pair(from, to) + "/connect+close", Rounds: rounds, Run: func(m *harness.Meter) (err error) {
		dialer, listener, closeBoth, err := connected(m, from, to)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, closeBoth()) }()
		var done, again uint64
		var took time.Duration
		run := func() error {
			var r struct{ US, Failed uint64 }
			err := dialer.ask("connects", args{"peer": listener.key, "count": connects}, &r)
			done, again, took = done+connects, again+r.Failed, took+time.Duration(r.US)*time.Microsecond
			return err
		}
		if err := run(); err != nil {
			return err
		}
		done, again, took = 0, 0, 0
		before, err := cpuOf(dialer, listener)
		if err != nil {
			return err
		}
		for took < stretch*m.Window() {
			if err := run(); err != nil {
				return err
			}
		}
		after, err := cpuOf(dialer, listener)
		if err != nil {
			return err
		}
		m.Report("again/op", float64(again)/float64(done))
		return m.Counted(done, took, after-before)
	}}
}
