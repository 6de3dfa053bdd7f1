//go:build campaign

package campaign

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/client"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/protocol/why"
)

// asks are what peers do to a node that tells them what it remembers of them.
func (a *attacker) asks() []attackKind {
	random := func(n int) []byte {
		b := make([]byte, n)
		_, _ = rand.Read(b)
		return b
	}
	return []attackKind{
		{"asks for records", 4, a.askRecords(framed(nil), true)},
		{"asks that read nothing", 4, a.askRecords(framed(nil), false)},
		{"half an ask", 2, a.askRecords([]byte{0, 0}, false)},
		{"junk for an ask", 2, func(ctx context.Context) error { return a.askRecords(framed(random(500)), true)(ctx) }},
		{"junk without a frame", 2, func(ctx context.Context) error { return a.askRecords(random(5000), true)(ctx) }},
		{"half-open set-ups", 30, a.halfOpen},
		{"garbage", 2, a.garbage},
		{"churn", 1, a.churn},
		{"plain flood", 1, a.flood(func(int) int { return 1 << 10 })},
	}
}

// askRecords opens one substream after the other for the same question, and reads the answers or not.
func (a *attacker) askRecords(question []byte, reads bool) func(context.Context) error {
	return func(ctx context.Context) error {
		s, c, err := a.connect(ctx, why.ID)
		if err != nil {
			return err
		}
		defer c.Close()
		defer s.Close()
		for range 500 {
			st, err := open(s, string(why.ID))
			if err != nil {
				return err
			}
			if _, err = st.Write(question); err != nil {
				return err
			}
			if reads {
				_ = st.SetDeadline(time.Now().Add(time.Second))
				_, _ = st.Read(make([]byte, 16<<10))
				st.Close()
			}
		}
		<-ctx.Done()
		return nil
	}
}

// operators look at the receiver and act on it, all at once and without end: more than serves anybody.
type operators struct {
	p      *pair
	c      *client.Client
	count  [10]atomic.Uint64
	failed sync.Map // texts of errors, each with how often
}

var operations = [...]string{"slow followers' events", "traces of actors", "traces of the sender", "traces of messages", "reports", "doctors", "actors restarted", "log levels set", "drains", "whole trees"}

// operate begins the operators of a pair.
func (p *pair) operate(ctx context.Context) *operators {
	o := &operators{p: p, c: client.New(p.dir, client.Options{})}
	each := func(what, atOnce int, pause time.Duration, do func(context.Context) error) {
		for range atOnce {
			p.sending.Go(func() {
				for ctx.Err() == nil {
					within, done := context.WithTimeout(ctx, time.Minute)
					err := do(within)
					done()
					if err == nil {
						o.count[what].Add(1)
					} else if ctx.Err() == nil {
						n, _ := o.failed.LoadOrStore(operations[what]+": "+err.Error(), new(atomic.Uint64))
						n.(*atomic.Uint64).Add(1)
					}
					select {
					case <-ctx.Done():
					case <-time.After(pause):
					}
				}
			})
		}
	}
	each(0, 48, time.Second, func(ctx context.Context) error {
		err := o.c.Follow(ctx, inspect.EventQuery{}, func(*models.Event) error {
			time.Sleep(time.Second)
			o.count[0].Add(1)
			return ctx.Err()
		})
		if ctx.Err() != nil { // it follows for as long as this
			return nil
		}
		return err
	})
	trace := func(kind string, of func() string) func(context.Context) error {
		return func(ctx context.Context) error {
			return o.c.Trace(ctx, kind, of(), 1000, 20*time.Second, func(*models.Traced) error { return nil })
		}
	}
	each(1, 6, time.Second, trace("actor", func() string { return o.actor(ctx) }))
	each(2, 3, time.Second, trace("peer", p.library.ID().String))
	each(3, 3, time.Second, trace("message", func() string { return fmt.Sprint(mrand.IntN(1000)) }))
	each(4, 1, 20*time.Second, func(ctx context.Context) error {
		file := filepath.Join(filepath.Dir(p.dir), "report.zip")
		_ = os.Remove(file)
		return run(exec.CommandContext(ctx, p.bin, "report", "--data-dir", p.dir, "--output", file))
	})
	each(5, 1, 5*time.Second, func(ctx context.Context) error {
		_, err := o.c.Examine(ctx, p.library.ID().String(), func(*models.Checked) error { return nil })
		return err
	})
	each(6, 1, 4*time.Second, func(ctx context.Context) error {
		from := time.Now()
		path := o.actor(ctx)
		err := o.c.RestartActor(ctx, path)
		p.happened("listener", from) // as when one ends: messages that nobody had acknowledged come again
		return err
	})
	each(7, 1, 3*time.Second, func(ctx context.Context) error {
		return o.c.Do(ctx, "log", "level", map[string][]string{"level": {[]string{"debug", "info"}[mrand.IntN(2)]}}, nil, nil)
	})
	each(8, 1, 30*time.Second, func(ctx context.Context) error {
		_, err := o.c.Drain(ctx, false)
		time.Sleep(2 * time.Second)
		_, off := o.c.Drain(context.WithoutCancel(ctx), true)
		return errors.Join(err, off)
	})
	each(9, 2, 200*time.Millisecond, func(ctx context.Context) error {
		_, err := o.c.Tree(ctx, client.Part{})
		return err
	})
	return o
}

func run(c *exec.Cmd) error {
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// actor returns the path of any actor of the receiver.
func (o *operators) actor(ctx context.Context) string {
	all, err := o.c.Actors(ctx)
	if err != nil || len(all) == 0 {
		return "node/dialer"
	}
	return all[mrand.IntN(len(all))].ID
}

// say logs what the operators did, and what failed.
func (o *operators) say() {
	for i, what := range operations {
		o.p.t.Logf("%s: %s: %d", o.p.name, what, o.count[i].Load())
	}
	o.failed.Range(func(text, n any) bool {
		o.p.t.Logf("%s: failed %d times: %.300s", o.p.name, n.(*atomic.Uint64).Load(), text)
		return true
	})
}
