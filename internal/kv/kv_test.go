package kv_test

import (
	"testing"

	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/internal/kv/kvtest"
)

func TestMemory(t *testing.T) {
	kvtest.Conformance(t, func(*testing.T) kv.DB { return kv.Memory() })
}
