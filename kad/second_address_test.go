package kad_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// reaching is a network that reaches some addresses only.
type reaching struct {
	kad.Network
	some []kad.Address
}

func (n reaching) Route(c kad.Contact) kad.Address {
	c.Addresses = slices.DeleteFunc(slices.Clone(c.Addresses), func(a kad.Address) bool { return !slices.Contains(n.some, a) })
	return n.Network.Route(c)
}

// A contact whose first address is silent is reached at its second one, also through another
// network. That address then comes first. When no address answers, one of them is named.
func TestSecondAddress(t *testing.T) {
	const moved, gone = 11, 12
	silent, good := handAddress(90), handAddress(moved)
	for name, apart := range map[string]bool{"one network": false, "two networks": true} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				inVain := 0 // under n.mu
				n := &byHand{limits: kad.Limits{Private: true}, claims: []kad.Address{silent, good}}
				n.reply = func(to kad.Address, _ *kad.Message) (a kad.Message, ok bool) {
					if to == silent {
						inVain++
					}
					return a, to == good
				}
				l := newLab(t, kad.HubOptions{}, kad.StandaloneOptions{})
				c := l.add(func(c *kad.Config) {
					c.Networks, c.PublicKey = []kad.Network{n}, kad.MemoryKey(1<<40)
					if apart {
						c.Networks = []kad.Network{reaching{l.hub.Network(), []kad.Address{silent}}, reaching{n, []kad.Address{good}}}
					}
				})
				who := handContact(moved)
				who.Addresses = n.claims
				got, err := c.ConnectTo(t.Context(), who)
				if err != nil || got.ID != who.ID || !inTable(c, moved) {
					t.Fatalf("got %v, %v, want a contact, reached at its second address", got, err)
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				n.mu.Lock()
				before := inVain
				n.mu.Unlock()
				list, err := c.Closest(t.Context(), overlay.ID{1})
				if err != nil || len(list) != 1 {
					t.Errorf("closest: got %v, %v, want the contact", list, err)
				}
				n.mu.Lock()
				if inVain != before {
					t.Errorf("got %d requests at the silent address, want the one first that answers", inVain-before)
				}
				n.mu.Unlock()

				who = handContact(gone)
				who.Addresses = []kad.Address{silent, handAddress(gone)}
				unreachable := (*kad.UnreachableError)(nil)
				if _, err := c.ConnectTo(t.Context(), who); !errors.As(err, &unreachable) || !slices.Contains(who.Addresses, unreachable.Address) {
					t.Errorf("no address answers: got %v, want one of them named", err)
				}
			})
		})
	}
}
