package daemon

import (
	"errors"
	"fmt"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemonconfig"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/nodedir"
)

// openIdentity reads the identity of the data directory, or makes one.
func openIdentity(dir nodedir.Dir, l *daemonconfig.Loaded) (id gamelan.Identity, made bool, err error) {
	network, private, err := daemonconfig.Network(l)
	if err != nil {
		return id, false, err
	}
	id, err = dir.Load()
	if errors.Is(err, gamelan.ErrNoIdentity) {
		id, err = dir.Create(network, private)
		made = err == nil
	}
	wanted := l.Config.Node.Network
	switch {
	case err != nil:
	case wanted == "" && id.Private != "":
		return id, made, failure.Usage("give the file of that network with --network", "the identity in %s was made for the private network %s", dir.Path, id.Private)
	case wanted != "" && (network != id.Network || private != id.Private):
		return id, made, failure.Usage(fmt.Sprintf("leave %s out, or run %q with another --data-dir", l.Origin("node.network"), "gamelan init --network "+nodedir.Quote(wanted)),
			"the identity in %s was made for %s", dir.Path, id.NetworkName())
	}
	return id, made, err
}
