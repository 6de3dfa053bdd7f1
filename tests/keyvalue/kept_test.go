package keyvalue

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/kad"
)

// TestBubbleKadKept publishes through the API of a node that has lost its only contact. Each answer says
// that the value is kept, and its key: a value that is on the disk is no plain failure. So does the
// error of the library.
func TestBubbleKadKept(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		_, nodes, clients := kadNetwork(t, 2)
		time.Sleep(time.Minute)
		if err := nodes[1].Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		do := nodes[0].Inspection().Verbs()["kad"]["put"].Do
		for _, value := range []string{"the contact is in the table", "it is not"} {
			body, err := json.Marshal(models.KadPut{Value: []byte(value)})
			if err != nil {
				t.Fatal(err)
			}
			_, err = do(t.Context(), url.Values{"client": {"main"}}, body)
			var e *inspect.Error
			if !errors.As(err, &e) || e.Code != inspect.CodeNoPeers {
				t.Fatalf("%s: got %v, want a %T that says %s", value, err, e, inspect.CodeNoPeers)
			}
			own, err := clients[0].Own(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			key := ""
			for _, p := range own {
				if string(p.Record.Value) == value {
					key = p.Record.Key.String()
				}
			}
			if key == "" || !strings.Contains(e.Message, key) || !strings.Contains(e.Message, "kept") {
				t.Errorf("%s: got %q, want that it is kept, and the key %s", value, e.Message, key)
			}
			time.Sleep(10 * time.Minute)
		}
		report, err := clients[0].Put(t.Context(), []byte("again"))
		var kept *kad.KeptError
		if !errors.As(err, &kept) || kept.Key != report.Key || !errors.Is(err, kad.ErrIsolated) || !strings.Contains(err.Error(), report.Key.String()) {
			t.Errorf("got %v, want a %T with the key %s", err, kept, report.Key)
		}
	})
}
