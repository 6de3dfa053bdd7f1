package conditions

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// TestBubbleChangedSecretIsAnEvent: a change of the secrets of a private network is an event with their digits, and with none of the secrets.
func TestBubbleChangedSecretIsAnEvent(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		old, err := gamelan.NewNetwork("acme")
		if err != nil {
			t.Fatal(err)
		}
		fresh, err := gamelan.NewNetwork("acme")
		if err != nil {
			t.Fatal(err)
		}
		n := gamelantest.NewNetwork(t).Start(gamelan.Config{Private: &old}, kit.Quiet)
		for _, s := range [][2]*protocol.NetworkSecret{{old.Secret, fresh.Secret}, {fresh.Secret, nil}} {
			if err := n.SetSecrets(s[0], s[1]); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		events, err := n.Inspection().Recorded(inspect.EventQuery{Types: []string{"admin"}, Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, e := range events.Events {
			got += e.What + "\n"
		}
		want := fmt.Sprintf("admin.network.secrets dials=%s accepts=%s\nadmin.network.secrets dials=%s accepts=none\n", old.Secret.Digits(), fresh.Secret.Digits(), fresh.Secret.Digits())
		if got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
		for _, s := range []*protocol.NetworkSecret{old.Secret, fresh.Secret} {
			if strings.Contains(got, hex.EncodeToString(s.Bytes())[:16]) {
				t.Errorf("got a secret in\n%s", got)
			}
		}
	})
}
