package machines

import (
	"errors"
	"os"
	"testing"

	"github.com/gamelan-p2p/gamelan/tests/machines/internal/bed"
)

// shared is the bed of all tests but those of tables.
var shared *bed.Bed

func begin() (err error) {
	if os.Getenv("GAMELAN_MACHINES") != "1" {
		return errors.New("these tests make network namespaces")
	}
	shared, err = bed.Start("A", "B", "C", "D")
	return err
}

func end() error {
	if shared == nil {
		return nil
	}
	return errors.Join(shared.Close(), bed.RemovePrograms())
}

// fresh returns the bed as new, with the machines A to D.
func fresh(t *testing.T) *bed.Bed {
	t.Helper()
	shared.Use(t)
	return shared
}
