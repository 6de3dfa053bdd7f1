package daemon

import (
	"errors"
	"fmt"
	"testing"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemonconfig"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
)

// Only a mistake in the settings is one that a restart does not help.
func TestNotStarted(t *testing.T) {
	l := daemonconfig.Load(daemonconfig.Sources{})
	for _, c := range []struct {
		err  error
		code int // 0: problems of the settings, for which the command ends with 2
	}{
		{&gamelan.ConfigError{Field: "PublicAddresses", Err: errors.New("too many")}, 0},
		{&gamelan.ConfigError{Field: "PublicAddresses", Err: fmt.Errorf("%w: nothing but loopback", gamelan.ErrNoNetwork)}, failure.ExitFailed},
		{errors.New("gamelan: the port is in use"), failure.ExitFailed},
	} {
		got := notStarted(l, c.err)
		f, failed := errors.AsType[*failure.Error](got)
		_, wrong := errors.AsType[daemonconfig.Problems](got)
		if wrong != (c.code == 0) || failed && f.Code != c.code || failed == wrong {
			t.Errorf("%v: got %v, want exit code %d", c.err, got, c.code)
		}
	}
}
