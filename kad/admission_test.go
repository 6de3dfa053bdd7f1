package kad_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// tapped is a network whose Port the test holds.
type tapped struct {
	kad.Network
	port *kad.Port
}

func (n *tapped) Open(c actor.Context, p *kad.Port) kad.Link {
	n.port = p
	return n.Network.Open(c, p)
}

// A packet is admitted by a token before it is handed over: 16 requests of a peer and 1,024
// in all. Others are counted and dropped. All tokens come back, also when the actor that
// works on a request is killed, and when it panics on one.
//
// conforms: kad 56
func TestAdmission(t *testing.T) {
	for _, end := range []string{"handled", "killed", "panics"} {
		t.Run(end, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				var mu sync.Mutex
				gate := make(chan struct{})
				armed := false
				so := kad.StandaloneOptions{Fault: func(path, at string) {
					mu.Lock()
					wait := armed && at == "*kad.arrived" && strings.HasSuffix(path, "/c0/gateways/0")
					if wait {
						armed = false
					}
					mu.Unlock()
					if wait {
						<-gate
						if end == "panics" {
							panic("as a bug would")
						}
					}
					faults(path, at)
				}}
				l := newLab(t, kad.HubOptions{}, so)
				tap := &tapped{Network: l.hub.Network()}
				c := l.add(func(c *kad.Config) { c.Networks = []kad.Network{tap} })
				synctest.Wait()
				mu.Lock()
				armed = true
				mu.Unlock()
				deliver := func(peer int) bool {
					return tap.port.Deliver(kad.Incoming{
						Packet: kad.Packet{Address: kad.Address(fmt.Sprintf("/memory/%d", 1000+peer)), PublicKey: kad.MemoryKey(uint64(peer)), Message: kad.Message{Verb: overlay.Ping}},
						From:   kad.Contact{ID: kad.ID{byte(peer), byte(peer >> 8), 1}},
					})
				}
				for i := range kad.MaxRequestsPerPeer + 1 {
					if got, want := deliver(0), i < kad.MaxRequestsPerPeer; got != want {
						t.Errorf("request %d of a peer: got admitted %v, want %v", i+1, got, want)
					}
				}
				admitted := kad.MaxRequestsPerPeer
				for i := range 2000 {
					if deliver(1 + i/10) {
						admitted++
					}
				}
				if admitted != kad.MaxRequests {
					t.Errorf("got %d requests admitted, want %d", admitted, kad.MaxRequests)
				}
				if got, want := c.Stats().Busy, uint64(1+2000-(kad.MaxRequests-kad.MaxRequestsPerPeer)); got != want {
					t.Errorf("got %d dropped ones counted, want %d", got, want)
				}
				if end == "killed" {
					l.kill(c, "")
				}
				close(gate)
				time.Sleep(10 * time.Second)
				synctest.Wait()
				if requests, answers, stores := kad.Held(c); requests+answers+stores != 0 {
					t.Errorf("got %d, %d and %d tokens that are taken", requests, answers, stores)
				}
				if !deliver(0) {
					t.Error("got a request afterwards that was not admitted")
				}
			})
		})
	}
}
