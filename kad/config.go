package kad

import (
	"cmp"
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/kad/upkeep"
	"github.com/gamelan-p2p/gamelan/internal/kad/values"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Config describes a client. The zero value, with a Name, is a native client in server mode
// with the networks of its host.
type Config struct {
	// Name names the client in the tree of actors and on the disk: 1 to 50 of [a-z0-9._-].
	Name string
	// Overlay is the network to which the client belongs.
	Overlay Overlay
	// Mode says whether the client serves others. [Client.SetMode] changes it.
	Mode Mode
	// Network names one of several networks of the same overlay on a node's connections: at
	// most 31 bytes; "" is the common one. Networks that are listed below do not use it.
	Network string
	// Networks are the client's gateways. Without any the host's are used: a node carries
	// native clients over its connections.
	Networks []Network
	// Bootstrap are addresses to enter the network by, and Contacts nodes of which more is
	// known.
	Bootstrap []Address
	Contacts  []Contact
	// Hasher makes the keys of the overlay Seed; nil: SHA-1.
	Hasher Hasher
	// ID is the client's id in the overlay Seed. Zero: the one that is kept, or a random one.
	ID ID
	// PublicKey is the key that the client's native id follows from. Zero: the host's.
	PublicKey identity.PublicKey
	// AllowPrivate accepts contacts with addresses of private networks and of this machine.
	AllowPrivate bool
	// Limits bound what the client stores for others; nil: 16 MiB or 20,000 records.
	Limits *StoreLimits
	// Keeper keeps the client's state on a disk; nil: the host's, which may be none. The
	// client closes it.
	Keeper Keeper
	// Params are the numbers of Kademlia. All nodes of a network should use the same.
	Params Params
}

// Params are the numbers of Kademlia. A zero number stands for its default, named after the
// semicolon.
type Params struct {
	K     int // contacts in a bucket, and holders of a record; 20
	Alpha int // requests of a lookup at a time; 4
	// Quorum is how many holders must agree on the newest version of a mutable record; 3.
	Quorum int
	// WriteQuorum is how many holders must accept a put; half of K.
	WriteQuorum int
	// Publish is how often own records are published again; 12 h, in the overlay Seed
	// 50 min.
	Publish time.Duration
	// LookupLimit is how long a lookup may take; 60 s.
	LookupLimit time.Duration
	// MaxOwn is how many records the client publishes at most; 10,000. In the overlay Seed it is
	// 20 for each minute of Publish, 1,000, and not more: others drop a record soon after that.
	MaxOwn int
	// MaxLookups is how many lookups may be under way; 256.
	MaxLookups int
}

const publishSeed = 50 * time.Minute

// maxName is the longest name of a client in bytes.
const maxName = 50

// MaxNetwork is the longest [Config].Network in bytes.
const MaxNetwork = 31

func (c Config) withDefaults() Config {
	if c.Overlay == Seed && c.Hasher == nil {
		c.Hasher = SHA1
	}
	if c.Limits == nil {
		l := values.DefaultLimits(c.Overlay)
		c.Limits = &l
	}
	p := &c.Params
	p.K = cmp.Or(p.K, 20)
	p.Alpha = cmp.Or(p.Alpha, 4)
	p.Quorum = cmp.Or(p.Quorum, 3)
	p.WriteQuorum = cmp.Or(p.WriteQuorum, (p.K+1)/2)
	p.LookupLimit = cmp.Or(p.LookupLimit, time.Minute)
	p.MaxLookups = cmp.Or(p.MaxLookups, 256)
	if c.Overlay == Seed {
		p.Publish = cmp.Or(p.Publish, publishSeed)
		p.MaxOwn = cmp.Or(p.MaxOwn, upkeep.MaxOwnSeed(p.Publish))
	}
	p.Publish = cmp.Or(p.Publish, 12*time.Hour)
	p.MaxOwn = cmp.Or(p.MaxOwn, 10_000)
	return c
}

// Validate returns an error that matches [ErrConfig] and names the first setting that cannot
// work, and nil if there is none.
func (c Config) Validate() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrConfig, fmt.Sprintf(format, args...))
	}
	p := c.Params
	switch {
	case len(c.Name) > maxName || !supervisor.ValidName(c.Name):
		return bad("Name %q: want 1 to %d characters of [a-z0-9._-]", c.Name, maxName)
	case c.Overlay > Seed:
		return bad("Overlay %d: want Native or Seed", c.Overlay)
	case c.Mode > ClientOnly:
		return bad("Mode %d: want Server or ClientOnly", c.Mode)
	case len(c.Network) > MaxNetwork:
		return bad("Network: %d bytes, at most %d", len(c.Network), MaxNetwork)
	case c.Overlay == Native && c.Hasher != nil:
		return bad("Hasher: only the overlay Seed has one")
	case c.Overlay == Native && !c.ID.IsZero():
		return bad("ID: in the overlay Native it follows from the public key")
	case c.Overlay == Seed && c.PublicKey != (identity.PublicKey{}):
		return bad("PublicKey: the overlay Seed has none; set ID")
	case p.K < 0 || p.K > 256:
		return bad("Params.K %d: want 1 to 256", p.K)
	case p.Alpha < 0 || p.Alpha > 64:
		return bad("Params.Alpha %d: want 1 to 64", p.Alpha)
	case p.Quorum < 0 || p.WriteQuorum < 0 || p.MaxOwn < 0 || p.MaxLookups < 0:
		return bad("Params: a number is negative")
	case p.Publish != 0 && p.Publish < time.Minute:
		return bad("Params.Publish %v: at least a minute", p.Publish)
	case c.Overlay == Seed && p.MaxOwn > upkeep.MaxOwnSeed(cmp.Or(p.Publish, publishSeed)):
		return bad("Params.MaxOwn %d: at most %d in the overlay Seed at this Publish", p.MaxOwn, upkeep.MaxOwnSeed(cmp.Or(p.Publish, publishSeed)))
	case p.LookupLimit != 0 && p.LookupLimit < time.Second:
		return bad("Params.LookupLimit %v: at least a second", p.LookupLimit)
	}
	if c.Hasher != nil {
		if err := overlay.CheckHasher(c.Hasher); err != nil {
			return bad("Hasher: %v", err)
		}
	}
	for i, n := range c.Networks {
		if n == nil {
			return bad("Networks[%d] is nil", i)
		}
	}
	return nil
}

// idLen returns the length of ids in bytes.
func (c *Config) idLen() int {
	if c.Overlay == Seed {
		return c.Hasher.Size()
	}
	return overlay.IDLen
}
