package daemon

import (
	"context"
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
	kept := []string{} // of the new file, those that the node has
	for _, s := range p.Seeds {
		if slices.Contains(d.network.Seeds, s) {
			kept = append(kept, s)
			continue
		}
		changed = true
		if err := d.addSeeds(ctx, []string{s}); err != nil {
			d.say(true, "A seed of %s was not added: %s", p.Name, failure.Text(err))
			continue
		}
		kept = append(kept, s)
		d.say(false, "%s has a new seed: %s.", p.Name, s)
	}
	p.Seeds = kept
	d.network = p
	return changed
}

// secretsTaken says with which secrets the node works from now on, without telling them.
func secretsTaken(p *config.PrivateConfig) string {
	if p.Accept == nil {
		return "The node dials with the present secret of " + p.Name + ", and accepts no other."
	}
	return "The node dials with the present secret of " + p.Name + ", and accepts a second one."
}
