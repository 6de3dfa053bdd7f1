package gamelan

import (
	"github.com/gamelan-p2p/gamelan/config"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// The settings of a node, see package [config]. The zero Config works: the node is on LocalNet, has
// a new identity, listens on a free loopback port and keeps nothing on disk.
type (
	Config             = config.Config
	DHTConfig          = config.DHTConfig
	DiscoveryConfig    = config.DiscoveryConfig
	HealthConfig       = config.HealthConfig
	InspectConfig      = config.InspectConfig
	InboxConfig        = config.InboxConfig
	MuxConfig          = config.MuxConfig
	PrivateConfig      = config.PrivateConfig
	RPCConfig          = config.RPCConfig
	ReachConfig        = config.ReachConfig
	SOCKSConfig        = config.SOCKSConfig
	StoreForwardConfig = config.StoreForwardConfig
	StoreForwardLimits = config.StoreForwardLimits
	TorConfig          = config.TorConfig
)

// Values of [Config].Transport.
const (
	TransportTCP        = config.TransportTCP
	TransportTor        = config.TransportTor
	TransportTCPWithTor = config.TransportTCPWithTor
	TransportSOCKS      = config.TransportSOCKS
)

// Values of [Config].Admission.
const (
	AdmitAnyone = config.AdmitAnyone
	AdmitListed = config.AdmitListed
)

// Values of Config.Inspect.ShareWhy.
const (
	SharePrivate = config.SharePrivate
	ShareAlways  = config.ShareAlways
	ShareNever   = config.ShareNever
)

// ReadNetwork reads the file of a private network, for Config.Private: see [config.ReadNetwork].
func ReadNetwork(path string) (PrivateConfig, error) { return config.ReadNetwork(path) }

// NewNetwork returns a private network with a new secret: see [config.NewNetwork].
func NewNetwork(name string) (PrivateConfig, error) { return config.NewNetwork(name) }

// ListenNowhere as the only entry of Config.Listen makes a node that accepts no
// connections.
const ListenNowhere = config.ListenNowhere

// NoFloor as Config.Floor makes a node that dials only peers that it was asked to dial.
const NoFloor = config.NoFloor

// ErrConfig reports a bad setting. The error is a [*ConfigError], which names the setting.
var ErrConfig = config.ErrConfig

// ErrNoNetwork reports that the machine has no address now that the node could show to its
// peers, as before its network is up. [Start] may succeed later, unless the network of this
// machine has only addresses that the node's network does not take.
var ErrNoNetwork = config.ErrNoNetwork

// ConfigError describes an error in one field of a Config, and how to correct it. It
// wraps [ErrConfig].
type ConfigError = config.ConfigError

// DefaultConfig returns the zero Config with its defaults filled in, except for defaults
// that depend on another field.
func DefaultConfig() Config { return config.Default() }

// DefaultDHTConfig returns the zero DHTConfig with its defaults filled in.
func DefaultDHTConfig() DHTConfig { return config.DefaultDHT() }

// DefaultInboxConfig returns the zero InboxConfig with its defaults filled in.
func DefaultInboxConfig() InboxConfig { return config.DefaultInbox() }

// InboxLeast returns the minimum of InboxConfig.MaxBytes, see [config.InboxLeast].
func InboxLeast(body int, types bool) int64 { return config.InboxLeast(body, types) }

// The identity file of a data directory.
type (
	Identity = config.Identity
	DataDir  = config.DataDir
)

// IdentityFile is the name of the identity file in a data directory.
const IdentityFile = config.IdentityFile

// Errors of the identity file. Each is wrapped with the path.
var (
	ErrNoIdentity      = config.ErrNoIdentity
	ErrIdentityExists  = config.ErrIdentityExists
	ErrIdentityDamaged = config.ErrIdentityDamaged
	ErrIdentityNewer   = config.ErrIdentityNewer
	ErrIdentityOpen    = config.ErrIdentityOpen
)

// CreateIdentity is DataDir.CreateIdentity of a directory without a trusted group.
func CreateIdentity(dir string, network protocol.Network) (Identity, error) {
	return config.CreateIdentity(dir, network)
}

// LoadIdentity is DataDir.LoadIdentity of a directory without a trusted group.
func LoadIdentity(dir string) (Identity, error) { return config.LoadIdentity(dir) }
