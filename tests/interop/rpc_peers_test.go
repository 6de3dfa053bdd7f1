package interop

import (
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/gamelantest"
)

// rpcAnswer is what a Tari node says of a call that it made.
type rpcAnswer struct {
	Status   uint32
	Details  string
	Greeting string
	Size     int
	Damaged  any // a count for items, else whether it was
	Items    uint64
	Ended    string
	GaveUp   bool `json:"gave_up"`
}

// rpcOpen opens a session with another node.
func (p *tari) rpcOpen(to string, a args) (session uint64, err error) {
	if a == nil {
		a = args{}
	}
	a["peer"] = to
	var r struct{ Session uint64 }
	err = p.ask("rpc_open", a, &r)
	return r.Session, err
}

// rpc makes a call in a session.
func (p *tari) rpc(session uint64, cmd string, a args) (r rpcAnswer, err error) {
	if a == nil {
		a = args{}
	}
	a["session"] = session
	err = p.ask("rpc_"+cmd, a, &r)
	return r, err
}

// rpcServed is what its service says of itself.
type rpcServed struct {
	Calls              map[string]uint64
	Running, Cancelled int
	Sessions           int
}

// What the tests of RPC rest on: the Tari nodes of either release call each
// other.
func TestTariNodesCallEachOther(t *testing.T) {
	against(t, func(t *testing.T, server string) {
		against(t, func(t *testing.T, client string) {
			s, c := startTari(t, server, "--rpc-sessions-per-peer", "5"), startTari(t, client)
			c.knows(s.key, s.addr)
			c.must("dial", args{"peer": s.key.String()}, nil)
			open := func() uint64 {
				t.Helper()
				session, err := c.rpcOpen(s.key.String(), nil)
				if err != nil {
					t.Fatal(err)
				}
				return session
			}
			session := open()
			call := func(cmd string, a args, ok func(rpcAnswer) bool) {
				t.Helper()
				// A session that is used again at once after a stream may be closed.
				session := session
				if cmd == "items" {
					session = open()
				}
				if r, err := c.rpc(session, cmd, a); err != nil || !ok(r) {
					t.Errorf("%s %v: got %+v, %v", cmd, a, r, err)
				}
			}
			call("hello", args{"name": "you"}, func(r rpcAnswer) bool { return r.Greeting == "Hello, you" })
			call("items", args{"count": 10_000, "size": 10}, func(r rpcAnswer) bool {
				return r.Items == 10_000 && r.Damaged == 0.0 && r.Ended == "end"
			})
			call("items", args{"count": 9, "size": 0, "fail_after": 5}, func(r rpcAnswer) bool {
				return r.Items == 5 && r.Status == 6 && r.Details == "asked for"
			})
			call("items", args{"count": 0, "size": 1, "take": 7, "pause_us": 2000}, func(r rpcAnswer) bool {
				return r.Items == 7 && r.Ended == "dropped"
			})
			call("fail", args{"status": 7, "details": "nothing"}, func(r rpcAnswer) bool { return r.Status == 7 && r.Details == "nothing" })
			call("wait", args{"ms": 1}, func(r rpcAnswer) bool { return r.Greeting == "waited" })
			call("ping", nil, func(r rpcAnswer) bool { return r.Status == 0 })
			// In more than one chunk, from a node that sends chunks.
			size := 393_217
			if server != client {
				size = 393_000
			}
			call("blob", args{"size": size}, func(r rpcAnswer) bool { return r.Size == size && r.Damaged == false })
			call("echo", args{"size": size}, func(r rpcAnswer) bool { return r.Size == size && r.Damaged == false })

			open()
			if _, err := c.rpcOpen(s.key.String(), nil); err == nil || !strings.Contains(err.Error(), "sessions available") {
				t.Errorf("one session too many: got %v, want a rejection", err)
			}
			// A stream that was dropped ends at the server some time later.
			var served rpcServed
			gamelantest.Eventually(t, connectLimit, "3 streams, one of them cancelled, and 5 sessions", func() bool {
				s.must("rpc_served", nil, &served)
				return served.Calls["items"] == 3 && served.Running == 0 && served.Cancelled == 1 && served.Sessions == 5
			})
		})
	})
}
