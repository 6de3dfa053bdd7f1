package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemonconfig"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// reload reads the settings again and applies those that can change while the node runs. A
// file with a problem changes nothing. The node looks at the machine's addresses at once.
func (d *daemon) reload(ctx context.Context) {
	defer d.node.LookAtAddresses() // also at those that the settings have changed
	now := d.Load()
	if len(now.Problems) > 0 {
		for _, p := range now.Problems {
			d.say(true, "Not reloaded: %s", p)
		}
		d.setRefused(now.Problems)
		return
	}
	var waiting []string
	changed := false
	for _, c := range daemonconfig.Changes(d.inForce(), now) {
		changed = true
		take := takes[c.Setting.Key]
		if take == nil {
			waiting = append(waiting, c.Setting.Key)
			d.say(true, "%s has changed from %s to %s; it takes a restart.", c.Setting.Key, c.Old.Text(), c.New.Text())
			continue
		}
		if err := take(d, ctx, &now.Config); err != nil {
			what := "stays as it was"
			if partly := (*partlyError)(nil); errors.As(err, &partly) {
				what = "is taken over in part"
			}
			d.say(true, "%s %s: %s", c.Setting.Key, what, failure.Text(err))
			waiting = append(waiting, c.Setting.Key)
			continue
		}
		d.mu.Lock()
		d.loaded.Take(now, c.Setting)
		d.mu.Unlock()
		d.say(false, "%s is now %s.", c.Setting.Key, c.New.Text())
		d.node.Inspection().Acted("admin.settings.reload " + c.Setting.Key)
	}
	if d.reloadNetwork(ctx, now) {
		changed = true
	}
	if d.reloadCertificate() {
		changed = true
	}
	seeds := d.settings().Node.Seeds
	if slices.Contains(waiting, "node.seeds") { // some of them may be taken over
		seeds = slices.Concat(seeds, now.Config.Node.Seeds)
	}
	d.admitSeeds(seeds)
	if !d.allowed.settled() { // a change of an earlier reload failed; the file may have the old list again
		if err := d.setAllowed(ctx, d.settings().Node.Allow); err != nil {
			d.say(true, "connections.allow is not what the settings say: %s", failure.Text(err))
		}
	}
	d.mu.Lock()
	d.waiting, d.loaded.File, d.refused = waiting, now.File, ""
	d.mu.Unlock()
	if !changed {
		d.say(false, "Reloaded; nothing has changed.")
	}
}

// reloadCertificate takes over a certificate of inspect.tls_cert that was renewed in its files, and reports whether
// anything has changed. Other files take a restart.
func (d *daemon) reloadCertificate() (changed bool) {
	settings := d.settings().Inspect
	c, err := d.outside.renew(&settings)
	switch {
	case err != nil:
		d.say(true, "The certificate of inspect.tls_cert stays as it was read: %s", failure.Text(err))
		return true
	case c == nil:
		return false
	}
	if f := d.outside.fingerprint(); f != "" {
		d.say(false, "inspect.tls_cert has a new certificate, %s: write the files of other machines anew with %s.", f, d.Dir.Command("token"))
	} else {
		d.say(false, "inspect.tls_cert has a new certificate.")
	}
	if why := settings.Unfit(c, time.Now()); why != "" {
		d.say(true, "Clients refuse the certificate of inspect.tls_cert: %s", why)
	}
	d.node.Inspection().Acted("admin.settings.reload inspect.tls_cert")
	return true
}

// setRefused notes why a reload was refused, until the next successful one.
func (d *daemon) setRefused(p daemonconfig.Problems) {
	more := ""
	if len(p) > 1 {
		more = fmt.Sprintf(", and %s more", inspect.Number(uint64(len(p)-1)))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refused = "the last reload took over nothing: " + p[0].Error() + more
}

// inForce returns a copy of the present settings.
func (d *daemon) inForce() *daemonconfig.Loaded {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.loaded.Clone()
}

// takes apply a setting to the running node, by its key: those whose rows have Reload.
var takes = map[string]func(d *daemon, ctx context.Context, now *daemonconfig.Config) error{
	"log.level": func(d *daemon, _ context.Context, now *daemonconfig.Config) error {
		d.levels.Set(levelsOf(now))
		return nil
	},
	"log.levels": func(d *daemon, _ context.Context, now *daemonconfig.Config) error {
		d.levels.Set(levelsOf(now))
		return nil
	},
	"daemon.drain": func(*daemon, context.Context, *daemonconfig.Config) error { return nil }, // read when the node stops
	"node.seeds": func(d *daemon, ctx context.Context, now *daemonconfig.Config) error {
		return d.addSeeds(ctx, now.Node.Seeds)
	},
	"node.public_addresses": func(d *daemon, ctx context.Context, now *daemonconfig.Config) error {
		return d.setPublicAddresses(ctx, now.Node.PublicAddresses)
	},
	"connections.allow": func(d *daemon, ctx context.Context, now *daemonconfig.Config) error {
		return d.setAllowed(ctx, now.Node.Allow)
	},
}

// addSeeds adds the new seeds. If one fails, it still adds the others.
func (d *daemon) addSeeds(ctx context.Context, seeds []string) error {
	old := d.settings().Node.Seeds
	var errs []error
	added := false
	d.admitSeeds(slices.Concat(old, seeds))
	for _, s := range seeds {
		if slices.Contains(old, s) || strings.HasPrefix(s, d.node.PublicKey().String()) {
			continue
		}
		if _, err := d.node.Peers().AddSeed(ctx, s); err != nil {
			errs = append(errs, err)
		} else {
			added = true
		}
	}
	if err := errors.Join(errs...); err == nil || !added {
		return err
	}
	return &partlyError{errors.Join(errs...)}
}

// admitSeeds lists seeds, and those of the network's file, as the only ones that are admitted as such. It says
// who is not admitted any more.
func (d *daemon) admitSeeds(seeds []string) {
	former, keys := d.admitted, d.seedKeys(seeds)
	d.node.Peers().AdmitSeeds(keys)
	d.admitted = keys
	for _, key := range former {
		if !slices.Contains(keys, key) && d.node.Peers().Admits(key) != nil {
			d.say(true, "%s is no longer admitted: it is no seed of the settings any more.", key)
		}
	}
}

// seedKeys returns the keys of seeds, and of those of the network's file.
func (d *daemon) seedKeys(seeds []string) (keys []identity.PublicKey) {
	if d.network != nil {
		seeds = slices.Concat(seeds, d.network.Seeds)
	}
	for _, s := range seeds {
		if seed, err := peerstore.ParseSeed(s); err == nil {
			keys = append(keys, seed.Key)
		}
	}
	return keys
}

// setAllowed sets the peers on the allow list.
func (d *daemon) setAllowed(ctx context.Context, texts []string) error {
	ids, err := parsePeers(texts)
	if err != nil {
		return err
	}
	return d.allowed.replace(ctx, ids)
}

func parsePeers(texts []string) ([]identity.NodeID, error) {
	ids := make([]identity.NodeID, len(texts))
	for i, t := range texts {
		var err error
		if ids[i], err = identity.ParsePeer(t); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

func (d *daemon) setPublicAddresses(ctx context.Context, texts []string) error {
	if len(texts) == 0 {
		return errors.New("the node advertises its listening addresses again after a restart")
	}
	var addrs []ma.Multiaddr
	for _, t := range texts {
		a, err := ma.NewMultiaddr(t)
		if err != nil {
			return err
		}
		addrs = append(addrs, a)
	}
	return d.node.SetPublicAddresses(ctx, addrs...)
}

// say writes a line for people, or, if the output is for programs, logs it: at level Warn
// if warn is true.
func (d *daemon) say(warn bool, format string, args ...any) {
	switch {
	case !d.Output.JSON:
		d.Output.Note(format, args...)
	case warn:
		d.logger.Warn("reload", "result", fmt.Sprintf(format, args...))
	default:
		d.logger.Info("reload", "result", fmt.Sprintf(format, args...))
	}
}
