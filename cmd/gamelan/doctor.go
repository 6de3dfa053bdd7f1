package main

import (
	"net/netip"
	"strconv"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

type doctorCmd struct {
	Peer string `arg:"" optional:"" peer:"" name:"peer-or-address" help:"A name or public key that gamelan peers lists, ${seed}, or an address. Without it the whole node is examined."`
}

// Help returns the text of gamelan doctor --help below the flags.
func (*doctorCmd) Help() string {
	return "Each step is shown as it ends: ok, note or FAILED. At the end stand one cause with its code, and one next step. The exit code is 1 if there is a cause. docs/trouble.md explains the codes.\n\n" +
		"Of the node it looks at disk, clock, open files, listeners, addresses, Tor and seeds. Of a peer it tries each address: it connects, and has the node there prove its key. " +
		"It does that with a key of its own, so that the connections of both nodes stay as they are. If the peer answers and is not connected, the node then dials it."
}

// Run has the node examine itself or the way to a peer, and shows each step.
func (c *doctorCmd) Run(a *app) error {
	peer, err := a.named(c.Peer)
	if err != nil {
		return err
	}
	if host, port, ok := bareAddress(peer); ok {
		return failure.Usage("write it as /ip4/"+host+"/tcp/"+port, "%q is neither a peer nor an address", peer)
	}
	steps := []models.Checked{}
	end, err := a.client().Examine(a.ctx, peer, func(s *models.Checked) error {
		steps = append(steps, *s)
		return render.Checked(a.Output, s)
	})
	if err != nil {
		return err
	}
	if err := render.Diagnosis(a.Output, steps, &end); err != nil {
		return err
	}
	if !end.OK {
		return errQuiet
	}
	return nil
}

// bareAddress reads an IPv4 address with or without a port.
func bareAddress(text string) (host, port string, ok bool) {
	if at, err := netip.ParseAddrPort(text); err == nil && at.Addr().Is4() {
		return at.Addr().String(), strconv.Itoa(int(at.Port())), true
	}
	if ip, err := netip.ParseAddr(text); err == nil && ip.Is4() {
		return ip.String(), "18189", true
	}
	return "", "", false
}
