package gamelan

import "github.com/gamelan-p2p/gamelan/internal/version"

// Version is the version of this module.
const Version = version.Version
