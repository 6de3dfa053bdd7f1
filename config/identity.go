package config

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/datadir"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Identity is the content of the identity file in a data directory.
type Identity struct {
	Secret  *identity.Secret
	Network protocol.Network // the one that it was made for
	Private string           // the name of it, if it is a private one
}

// NetworkName returns the name of the network that the identity was made for.
func (id *Identity) NetworkName() string { return cmp.Or(id.Private, id.Network.String()) }

// IdentityFile is the name of the identity file in a data directory.
const IdentityFile = "identity.json"

// Errors of the identity file. Each is wrapped with the path.
var (
	ErrNoIdentity      = errors.New("gamelan: there is no identity")
	ErrIdentityExists  = errors.New("gamelan: there is an identity already")
	ErrIdentityDamaged = errors.New("gamelan: the identity file is damaged; restore it from a copy, or move it away for a new identity")
	ErrIdentityNewer   = errors.New("gamelan: the identity file was written by a newer gamelan; use that one")
	ErrIdentityOpen    = errors.New("gamelan: the identity file can be read by others; make it private with chmod 600")
)

// identityVersion is the version of the layout that this release reads and writes.
const identityVersion = 1

// identityJSON is the layout of the identity file. NodeID and PublicKey are for readers of
// the file, and serve to check that the secret key is undamaged.
type identityJSON struct {
	Version   int    `json:"version"`
	Network   string `json:"network"`
	Private   string `json:"private,omitempty"`
	NodeID    string `json:"node_id"`
	PublicKey string `json:"public_key"`
	SecretKey string `json:"secret_key"`
}

// DataDir is a data directory, with what [Config.DataDirGroup] says of it.
type DataDir struct {
	Path  string
	Group int
}

// Dir returns the data directory of a node.
func (c *Config) Dir() DataDir { return DataDir{c.DataDir, c.DataDirGroup} }

// CreateIdentity is [DataDir.CreateIdentity] of a directory without a trusted group.
func CreateIdentity(dir string, network protocol.Network) (Identity, error) {
	return DataDir{Path: dir}.CreateIdentity(network)
}

// CreatePrivateIdentity is CreateIdentity for the private network with that name.
func (in DataDir) CreatePrivateIdentity(name string) (Identity, error) {
	if err := protocol.CheckNetworkName(name); err != nil {
		return Identity{}, err
	}
	return in.createIdentity(protocol.PrivateNet, name)
}

// CreateIdentity creates a new identity in a data directory, and the directory if it does
// not exist. It never replaces an identity and returns ErrIdentityExists instead. It
// refuses a directory that any user other than this one, root and members of the group owns
// or can change.
func (in DataDir) CreateIdentity(network protocol.Network) (Identity, error) {
	return in.createIdentity(network, "")
}

func (in DataDir) createIdentity(network protocol.Network, private string) (Identity, error) {
	d, err := datadir.Make(in.Path, datadir.Group(in.Group))
	if err != nil {
		return Identity{}, datadir.Error(err)
	}
	defer d.Close()
	secret, err := identity.NewSecret(rand.Reader)
	if err != nil {
		return Identity{}, err
	}
	b, err := json.MarshalIndent(identityJSON{
		identityVersion, network.String(), private, secret.NodeID().String(), secret.PublicKey().String(), hex.EncodeToString(secret.Bytes()),
	}, "", "  ")
	if err != nil {
		return Identity{}, err
	}
	path := filepath.Join(in.Path, IdentityFile)
	switch err := d.WriteNew(IdentityFile, append(b, '\n')); {
	case errors.Is(err, fs.ErrExist):
		return Identity{}, fmt.Errorf("%w: %s", ErrIdentityExists, path)
	case err != nil:
		return Identity{}, datadir.Error(err)
	}
	return Identity{secret, network, private}, nil
}

// LoadIdentity is [DataDir.LoadIdentity] of a directory without a trusted group.
func LoadIdentity(dir string) (Identity, error) { return DataDir{Path: dir}.LoadIdentity() }

// LoadIdentity reads the identity of a data directory and changes nothing. It refuses a
// file that users other than members of the group can read, and a directory or file that
// any user other than this one, root and members of the group owns or can change.
func (in DataDir) LoadIdentity() (Identity, error) {
	path := filepath.Join(in.Path, IdentityFile)
	var b []byte
	d, err := datadir.Open(in.Path, datadir.Group(in.Group))
	if err == nil {
		defer d.Close()
		b, err = datadir.ReadPrivate(d, path, ErrIdentityOpen)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Identity{}, fmt.Errorf("%w: %s", ErrNoIdentity, path)
	case errors.Is(err, ErrIdentityOpen):
		return Identity{}, err
	case err != nil:
		return Identity{}, datadir.Error(err)
	}
	id, err := parseIdentity(b)
	if err != nil {
		return Identity{}, fmt.Errorf("%w: %s", err, path)
	}
	return id, nil
}

// parseIdentity decodes an identity file. Its errors never contain the secret key.
func parseIdentity(b []byte) (Identity, error) {
	damaged := func(what string) (Identity, error) {
		return Identity{}, fmt.Errorf("%w (%s)", ErrIdentityDamaged, what)
	}
	var version struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(b, &version); err != nil {
		return damaged(strings.TrimPrefix(err.Error(), "json: "))
	}
	if version.Version > identityVersion {
		return Identity{}, fmt.Errorf("%w (version %d)", ErrIdentityNewer, version.Version)
	}
	var j identityJSON
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&j); err != nil {
		return damaged(strings.TrimPrefix(err.Error(), "json: "))
	}
	if j.Version != identityVersion {
		return damaged(fmt.Sprintf("version %d", j.Version))
	}
	network, err := protocol.ParseNetwork(j.Network)
	if j.Private != "" {
		network, err = protocol.PrivateNet, protocol.CheckNetworkName(j.Private)
		if j.Network != protocol.PrivateNet.String() {
			return damaged("it is of two networks")
		}
	}
	if err != nil {
		return damaged("unknown network")
	}
	secret, err := identity.ParseSecret(j.SecretKey)
	if err != nil {
		return damaged("the secret key is not one")
	}
	if !strings.EqualFold(j.PublicKey, secret.PublicKey().String()) || !strings.EqualFold(j.NodeID, secret.NodeID().String()) {
		return damaged("its keys do not belong together")
	}
	return Identity{secret, network, j.Private}, nil
}
