package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// The list of peers is the same on pages of any size, as a section, and peer by
// peer.
func TestPeersAreTheSameHoweverTheyAreAskedFor(t *testing.T) {
	n, err := gamelan.Start(t.Context(), gamelan.Config{Listen: []string{gamelan.ListenNowhere}}, gamelan.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close(context.Background())
	const all = 25
	var want []string
	for i := range all {
		other, err := gamelan.Start(t.Context(), gamelan.Config{Listen: []string{gamelan.ListenNowhere}}, gamelan.WithLogger(slog.New(slog.DiscardHandler)))
		if err != nil {
			t.Fatal(err)
		}
		id, err := n.Peers().AddSeed(t.Context(), fmt.Sprintf("%s::/ip4/127.0.0.1/tcp/%d", other.PublicKey(), 1000+i))
		if err != nil {
			t.Fatal(err)
		}
		other.Close(t.Context())
		want = append(want, id.String())
	}
	slices.Sort(want)
	h := inspect.Handler(n.Inspection().Options)
	get := func(path string, v any) int {
		t.Helper()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://localhost"+path, nil))
		b, _ := io.ReadAll(w.Body)
		if err := json.Unmarshal(b, v); err != nil {
			t.Fatalf("%s: %s: %v", path, b, err)
		}
		return w.Code
	}
	ids := func(peers []models.Peer) (ids []string) {
		for _, p := range peers {
			ids = append(ids, p.NodeID)
		}
		return ids
	}
	for _, size := range []int{1, 7, all, 100} {
		var got []string
		for offset := 0; offset < all+size; offset += size {
			var page struct {
				Items []models.Peer
				Total int
			}
			get(fmt.Sprintf("/v1/peers?limit=%d&offset=%d", size, offset), &page)
			if page.Total != all || page.Items == nil {
				t.Errorf("pages of %d: got a total of %d, items %v, want %d and a list", size, page.Total, page.Items, all)
			}
			got = append(got, ids(page.Items)...)
		}
		if !slices.Equal(got, want) {
			t.Errorf("pages of %d: got %q, want %q", size, got, want)
		}
	}
	var section struct{ Items []models.Peer }
	if get("/v1/sections/peers", &section); !slices.Equal(ids(section.Items), want) {
		t.Errorf("section: got %q, want %q", ids(section.Items), want)
	}
	p := section.Items[3]
	for _, id := range []string{p.NodeID, p.PublicKey, p.NodeID[:16], p.NodeID[:12], p.PublicKey[:12], strings.ToUpper(p.NodeID)} {
		var got models.Peer
		if code := get("/v1/peers/"+id, &got); code != 200 || got.NodeID != p.NodeID {
			t.Errorf("peer %s: got %d %s, want %s", id, code, got.NodeID, p.NodeID)
		}
	}
	var none struct{ Error inspect.Error }
	begin := ""
	for i := range want[1:] { // of 25 ids, two begin with the same digit
		if want[i][0] == want[i+1][0] {
			begin = want[i][:1]
		}
	}
	if code := get("/v1/peers/"+begin, &none); code != 404 || none.Error.Hint == "" {
		t.Errorf("the beginning of several ids: got %d %+v, want 404 with a hint", code, none)
	}
	err = inspect.Ambiguous(begin, want)
	if e := (*inspect.Error)(nil); !errors.As(err, &e) || !strings.Contains(e.Message, "25 peers begin with "+begin+": "+want[0]+", ") || !strings.HasSuffix(e.Message, " and 20 more") {
		t.Errorf("several candidates: got %v, want the first of them named", err)
	}
}
