package main

import (
	"context"
	"encoding/hex"
	"strings"
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/client"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

type discoverCmd struct {
	Key     string        `arg:"" peer:"" help:"The public key of the node to find, or a name for it."`
	Timeout time.Duration `help:"How long to search (default: discovery.search_limit of the node)." placeholder:"TIME"`
}

// Help returns the text of gamelan discover --help below the flags.
func (*discoverCmd) Help() string {
	return "The node asks connected nodes for the peers that they know, and then the network, until the holder of the key answers. It remembers the peer, and does not connect to it. " +
		"The exit code is 1 if the holder is not found."
}

func (c *discoverCmd) Run(a *app) error {
	text, err := a.named(c.Key)
	if err != nil {
		return err
	}
	key, err := keyOf(text)
	switch {
	case err != nil:
		return err
	case c.Timeout < 0:
		return failure.Usage("give a positive duration, such as 30s", "--timeout cannot be %s", c.Timeout)
	}
	start := time.Now()
	stop := followSearch(a, key, true)
	p, err := a.client().Discover(a.ctx, key, c.Timeout)
	stop(err == nil)
	if err != nil {
		return err
	}
	a.Note("It took %s.", time.Since(start).Round(time.Millisecond))
	return render.Discovered(a.Output, &p)
}

// keyOf returns a public key in the form in which the node writes it.
func keyOf(text string) (string, error) {
	key, err := identity.ParsePublicKey(text)
	switch {
	case err == nil:
		return key.String(), nil
	case strings.Contains(text, "::"):
		return "", failure.Usage("add it with gamelan peers add "+text, "%q has an address, so nothing is to be searched", text)
	case api.CheckKnownPeer(text) == nil:
		return "", failure.Usage("give the public key, 64 hexadecimal digits", "%q is a node id, and searches need the key", text)
	}
	if _, err := hex.DecodeString(text); err == nil && len(text) == 64 {
		return "", failure.Usage("at least one digit is wrong; copy it again from gamelan id on the other node", "%q is no public key", text)
	}
	return "", failure.Usage("give 64 hexadecimal digits, as gamelan id prints them on the other node", "%q is no public key", text)
}

// followEvery is how often the node is asked what it does about a request.
const followEvery = 250 * time.Millisecond

// follow writes what the node does about a request on standard error, a line for each change
// of the text, until stop is called.
func follow(a *app, text func(*models.Network) string) (stop func()) {
	if a.JSON {
		return func() {}
	}
	ctx, cancel := context.WithCancel(a.ctx)
	node := a.client().AtOnce() // the request itself waits for a node that is starting
	var work sync.WaitGroup
	work.Go(func() {
		shown := ""
		tick := time.NewTicker(followEvery)
		defer tick.Stop()
		for {
			if n, err := node.Network(ctx); err == nil {
				if now := text(&n); now != "" && now != shown {
					shown = now
					a.Note("%s", inspect.Escape(now))
				}
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
	return sync.OnceFunc(func() {
		cancel()
		work.Wait()
	})
}

// followSearch says that the node searches for the holder of a key, if it does not know the
// holder, and then the stages of the search. With anew, a holder that could not be reached is
// searched for as well. What was found and not reached is said with the stage. stop says what it has
// found, if it has.
func followSearch(a *app, key string, anew bool) (stop func(found bool)) {
	ask := a.client()
	known := func(ctx context.Context) (p models.Peer, ok bool) {
		p, err := ask.Peer(ctx, key)
		return p, client.CodeOf(err) != inspect.CodeNotFound
	}
	nothing := func(bool) {}
	if a.JSON {
		return nothing
	}
	if i, err := ask.Node(a.ctx); err != nil || i.PublicKey == key { // the verb itself reports that it is this node
		return nothing
	}
	why := "this node does not know it"
	if p, ok := known(a.ctx); ok {
		if !anew || p.Connection != nil {
			return nothing
		}
		if why = ""; !p.OfflineSince.IsZero() {
			why = "this node knows it, and could not reach it when it tried last"
		}
	}
	if n, err := ask.Network(a.ctx); err != nil || !n.On {
		return nothing
	}
	searched := why != ""
	if searched {
		a.Note("Searching for %s: %s.", a.WhoKey(key), why)
	}
	poll := a.client().AtOnce()
	end := follow(a, func(n *models.Network) string {
		text := a.Searching(n, key)
		searched = searched || text != ""
		if p, err := poll.Peer(a.ctx, key); err == nil && text != "" && len(p.Addresses) > 0 {
			text += " " + a.NotReached(&p)
		}
		return text
	})
	var once sync.Once
	return func(found bool) {
		once.Do(func() {
			end()
			if p, ok := known(a.ctx); ok && found && searched && a.ctx.Err() == nil {
				a.Note("%s", inspect.Escape(a.Found(&p)))
			}
		})
	}
}

// followReceiver is followSearch for a message to the holder of a key. For a receiver that
// is given otherwise it does nothing.
func followReceiver(a *app, text string) (stop func()) {
	key, err := identity.ParsePublicKey(text)
	if err != nil {
		return func() {}
	}
	end := followSearch(a, key.String(), false)
	return func() { end(true) }
}
