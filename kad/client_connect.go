package kad

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Ping asks a contact whether it is there, and returns how long its answer took. It fails
// with an error that matches [ErrUnreachable].
func (c *Client) Ping(ctx context.Context, who Contact) (time.Duration, error) {
	a, err := c.request(ctx, who, overlay.Message{Verb: overlay.Ping})
	if err != nil {
		return 0, err
	}
	return a.took, nil
}

// Connect asks a node for this client's own id, which makes it a contact if there is room,
// and returns it. target is an address as in /ip4/192.0.2.7/udp/12345, or, where nodes have
// keys, KEY::ADDRESS[::ADDRESS…]. The addresses are tried in turn. It fails with [overlay.ErrAddress] or an error that matches
// [ErrUnreachable].
func (c *Client) Connect(ctx context.Context, target string) (Contact, error) {
	who, err := ParseContact(target)
	if err != nil {
		return Contact{}, err
	}
	return c.ConnectTo(ctx, who)
}

// ConnectTo is [Client.Connect] for a contact.
func (c *Client) ConnectTo(ctx context.Context, who Contact) (Contact, error) {
	a, err := c.request(ctx, who, overlay.Message{Verb: overlay.FindNode, Target: c.x.self})
	if err != nil {
		return Contact{}, err
	}
	c.x.tell(c.x.upkeep, &nodeAsked{contact: a.peer})
	// The gateway has told the table before: when the table knows that it does not know this,
	// the contact is in the view.
	_, _ = supervisor.Ask[opened](ctx, c.x.host.System(), c.x.table, hasRead{})
	return a.peer, nil
}

// ParseContact returns the contact that a text names: an address, or KEY::ADDRESS[::ADDRESS…].
func ParseContact(text string) (who Contact, err error) {
	parts := strings.Split(text, "::")
	// An IPv6 address has two colons, too: a key comes first, and holds no slash.
	if !strings.Contains(parts[0], "/") && len(parts) > 1 {
		key, err := identity.ParsePublicKey(parts[0])
		if err != nil {
			return Contact{}, fmt.Errorf("%w: %w", overlay.ErrAddress, err)
		}
		who.PublicKey, who.ID = key, overlay.NodeID(key)
		text = strings.TrimPrefix(text, parts[0]+"::")
	}
	for a := range strings.SplitSeq(strings.ReplaceAll(text, "::/", "\n/"), "\n") {
		at, err := overlay.ParseAddress(a)
		if err != nil {
			return Contact{}, err
		}
		who.Addresses = append(who.Addresses, at)
	}
	if len(who.Addresses) > overlay.MaxAddresses {
		who.Addresses = who.Addresses[:overlay.MaxAddresses]
	}
	return who, nil
}

// request sends one request and waits for the answer.
func (c *Client) request(ctx context.Context, who Contact, m overlay.Message) (*answer, error) {
	g, route := c.x.route(&who)
	if g == nil {
		at := Address("")
		if len(who.Addresses) > 0 {
			at = who.Addresses[0]
		}
		return nil, &UnreachableError{at, "no gateway of the client reaches it"}
	}
	a, err := clientAsk[*answer](ctx, c, g.pid, &direct{ask{core: c.x, ref: c.x.ref(), to: who, route: route, msg: m}})
	limited := (*RateLimitedError)(nil)
	switch {
	case err != nil:
		return nil, err
	case errors.As(a.err, &limited):
		return nil, limited
	case a.state != answered:
		return nil, &UnreachableError{a.at, a.why}
	case a.msg.Status == overlay.RateLimited:
		return nil, &RateLimitedError{RetryAfter: a.msg.RetryAfter}
	}
	return a, nil
}

// direct is an ask of a caller outside of the actors: its sender gets the answer.
type direct struct{ ask }

// Discard does nothing: the caller hears that the actor failed.
func (d *direct) Discard() {}
