package render

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// A client whose store has not answered is not said to store and to publish nothing.
func TestKadWithoutItsStore(t *testing.T) {
	var out bytes.Buffer
	o := &Output{Out: &out, Err: &out}
	v := models.Kad{Clients: []models.KadClient{{Name: "main", State: "ready"}}}
	if err := Kad(o, &v); err != nil {
		t.Fatal(err)
	}
	if err := KadOwn(o, []models.KadPublications{{Client: "main", Error: "no answer in time"}}, time.Now()); err != nil {
		t.Fatal(err)
	}
	text := out.String() + KadText(&v)
	for _, no := range []string{"0 record", "publishes 0", "nothing is published"} {
		if strings.Contains(text, no) {
			t.Errorf("got %q in %q", no, text)
		}
	}
	if n := strings.Count(text, "has not answered"); n != 2 || !strings.Contains(text, "no answer in time") {
		t.Errorf("got %q, want that the store has not answered", text)
	}
}
