package discovery_test

import (
	"errors"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/discovery"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// conforms: dht 128
func TestAutomaticJoins(t *testing.T) {
	own := claimOf(t, secretOf(t, 1), wall, addresses(t, public)...)
	j := discovery.NewJoins(0)
	begin := wall
	automatic := func(after time.Duration, want error) {
		t.Helper()
		if err := j.Automatic(begin.Add(after), own, nil); !errors.Is(err, want) {
			t.Errorf("after %s: got %v, want %v", after, err, want)
		}
	}
	automatic(0, nil)
	automatic(time.Second, discovery.ErrJoinedRecently)
	automatic(10*time.Minute-time.Nanosecond, discovery.ErrJoinedRecently)
	automatic(10*time.Minute, nil)
	if err := j.Manual(begin.Add(11*time.Minute), own, nil); err != nil {
		t.Errorf("a join of the user: got %v, want it sent at any time", err)
	}
	automatic(20*time.Minute, discovery.ErrJoinedRecently) // the user's counts, too
	automatic(21*time.Minute, nil)
	j.Failed()
	automatic(21*time.Minute+time.Second, nil)
	if a, m := j.Sent(); a != 4 || m != 1 || !j.Last().Equal(begin.Add(21*time.Minute+time.Second)) {
		t.Errorf("got %d automatic, %d manual, the last at %v, want 4, 1 and the last one's time", a, m, j.Last())
	}
}

// conforms: dht 77
func TestJoinOfAnExcludedNode(t *testing.T) {
	excluded := func(list ...string) (ranges []protocol.AddressRange) {
		for _, s := range list {
			r, err := protocol.ParseAddressRange(s)
			if err != nil {
				t.Fatal(err)
			}
			ranges = append(ranges, r)
		}
		return ranges
	}
	two := claimOf(t, secretOf(t, 1), wall, addresses(t, public, "/ip4/127.0.0.1/tcp/1")...)
	for name, c := range map[string]struct {
		own      identity.Claim
		excluded []protocol.AddressRange
		want     error
	}{
		"nothing excluded":       {two, nil, nil},
		"one of two":             {two, excluded("127.0.0.0/8"), nil},
		"both":                   {two, excluded("127.0.0.0/8", public), discovery.ErrUnreachable},
		"no address to announce": {claimOf(t, secretOf(t, 1), wall), nil, discovery.ErrUnreachable},
	} {
		j := discovery.NewJoins(0)
		if err := j.Automatic(wall, c.own, c.excluded); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
		if err := j.Manual(wall, c.own, c.excluded); !errors.Is(err, c.want) {
			t.Errorf("%s, asked for: got %v, want %v", name, err, c.want)
		}
		if c.want != nil && !j.Last().IsZero() {
			t.Errorf("%s: a join that was not sent counts", name)
		}
	}
}
