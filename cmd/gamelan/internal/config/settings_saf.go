package config

import (
	"cmp"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht/saf"
)

// storeForward returns a setting of store and forward.
func storeForward(s Setting, at func(*gamelan.StoreForwardConfig) any) Setting {
	s.at = func(c *Config) any { return at(&c.Node.StoreForward) }
	return s
}

// storeLimit returns a setting that is one of the limits of what is stored for others. Bounds
// that s leaves out are those of its kind.
func storeLimit(s Setting, at func(*saf.Limits) any) Setting {
	least, most := int64(1), int64(saf.MostMessages)
	switch s.Kind {
	case Size:
		least, most = 8<<20, 1<<44
	case Duration:
		most = int64(saf.MostValidity)
	}
	s.Least, s.Most = cmp.Or(s.Least, least), cmp.Or(s.Most, most)
	return storeForward(s, func(c *gamelan.StoreForwardConfig) any { return at(&c.Limits) })
}
