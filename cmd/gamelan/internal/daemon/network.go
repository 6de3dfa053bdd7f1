package daemon

import (
	"context"
	"fmt"
	"slices"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemonconfig"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/config"
)

// readNetwork reads the file of the private network that the settings name; nil: they name none.
func readNetwork(l *daemonconfig.Loaded) (*config.PrivateConfig, error) {
	if !config.IsNetworkFile(l.Config.Node.Network) {
		return nil, nil
	}
	p, err := config.ReadNetwork(l.Config.Node.Network)
	if err != nil {
		return nil, err
	}
	return &p, nil
}

// reloadNetwork takes over what has changed in the file of the private network, and reports whether
// anything has. Another file takes a restart.
func (d *daemon) reloadNetwork(ctx context.Context, now *daemonconfig.Loaded) (changed bool) {
	if d.network == nil || now.Config.Node.Network != d.settings().Node.Network {
		return false
	}
	p, err := readNetwork(now)
	if err == nil && p.Name != d.network.Name {
		d.say(true, "The name of the network has changed from %s to %s in %s; it takes a restart, and another identity.", d.network.Name, p.Name, now.Config.Node.Network)
		return true
	}
	if err == nil && (!p.Secret.Equal(d.network.Secret) || !p.Accept.Equal(d.network.Accept)) {
		if err = d.node.SetSecrets(p.Secret, p.Accept); err == nil {
			changed = true
			d.say(false, "%s", secretsTaken(p))
		}
	}
	if err != nil {
		d.say(true, "The file of the network stays as it was read: %s", failure.Text(err))
		return true
	}
	old := d.network.Seeds
	for _, s := range old {
		if !slices.Contains(p.Seeds, s) {
			changed = true
			d.say(false, "%s has a seed less: %s.", p.Name, s)
		}
	}
	d.network.Seeds = slices.Concat(old, p.Seeds) // those of the file are admitted before they are dialled
	again := d.missing
	d.missing = nil
	for _, s := range p.Seeds {
		if slices.Contains(old, s) && !slices.Contains(again, s) {
			continue
		}
		changed = true
		if err := d.addSeeds(ctx, []string{s}); err != nil {
			d.say(true, "A seed of %s was not added: %s", p.Name, failure.Text(err))
			d.missing = append(d.missing, s) // the next reload tries it again
			continue
		}
		d.say(false, "%s has a new seed: %s.", p.Name, s)
	}
	d.network = p
	return changed
}

// secretsTaken says with which secrets the node works from now on, by digits that do not tell them.
func secretsTaken(p *config.PrivateConfig) string {
	if p.Accept == nil {
		return fmt.Sprintf("The node dials with the secret %s of %s, and accepts no other.", p.Secret.Digits(), p.Name)
	}
	return fmt.Sprintf("The node dials with the secret %s of %s, and accepts %s as well.", p.Secret.Digits(), p.Name, p.Accept.Digits())
}
