package inspect

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// fakeEvents are events with the ids 1.1, 1.2, …
type fakeEvents struct {
	mu    sync.Mutex
	n     int // of events
	first int // that is kept
	came  chan struct{}
}

func (f *fakeEvents) add() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	close(f.came)
	f.came = make(chan struct{})
}

func (f *fakeEvents) Select(q *EventQuery) (models.Events, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	after := 0
	if q.Since != "" {
		if _, err := fmt.Sscanf(q.Since, "1.%d", &after); err != nil {
			return models.Events{}, &Error{Code: CodeBadQuery, Message: "since cannot be that", Hint: "give an id"}
		}
	}
	all := models.Events{Events: []models.Event{}, Next: fmt.Sprintf("1.%d", f.n)}
	if after > 0 && f.first > after+1 {
		all.Lost = uint64(f.first - after - 1)
	}
	for i := max(after+1, f.first); i <= f.n; i++ {
		e := models.Event{ID: fmt.Sprintf("1.%d", i), Type: "conn.opened", Peer: "ab", What: "line\nbreak"}
		if q.Peer == "" || strings.HasPrefix(e.Peer, q.Peer) {
			all.Events = append(all.Events, e)
		}
	}
	return all, nil
}

func (f *fakeEvents) Await(ctx context.Context, since string) error {
	for {
		f.mu.Lock()
		last, came := fmt.Sprintf("1.%d", f.n), f.came
		f.mu.Unlock()
		if last != since {
			return nil
		}
		select {
		case <-came:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func eventServer(t *testing.T) (*fakeEvents, string) {
	t.Helper()
	f := &fakeEvents{came: make(chan struct{}), first: 1}
	s := httptest.NewServer(Handler(Options{Events: f}))
	t.Cleanup(s.Close)
	return f, s.URL + "/v1/events"
}

// follow reads events from a stream.
func follow(t *testing.T, url, last string) (next func() models.Event, res *http.Response) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	res, err = http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	in := bufio.NewScanner(res.Body)
	return func() (e models.Event) {
		t.Helper()
		for in.Scan() {
			if data, ok := strings.CutPrefix(in.Text(), "data: "); ok {
				if err := json.Unmarshal([]byte(data), &e); err != nil {
					t.Fatal(err)
				}
				return e
			}
		}
		t.Fatalf("the stream has ended: %v", in.Err())
		return e
	}, res
}

// TestEvents: a list, a stream that goes on, one that is resumed, and one of whose events some are gone.
func TestEvents(t *testing.T) {
	f, url := eventServer(t)
	f.add()
	f.add()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var list models.Events
	if err := json.NewDecoder(res.Body).Decode(&list); err != nil || len(list.Events) != 2 || list.Next != "1.2" {
		t.Errorf("got %+v, %v, want two events", list, err)
	}

	next, stream := follow(t, url, "")
	if got := stream.Header.Get("Content-Type"); got != "text/event-stream; charset=utf-8" {
		t.Errorf("got %q", got)
	}
	for _, want := range []string{"1.1", "1.2"} {
		if e := next(); e.ID != want || e.What != "line\nbreak" {
			t.Errorf("got %+v, want %s", e, want)
		}
	}
	f.add()
	if e := next(); e.ID != "1.3" {
		t.Errorf("got %+v, want the event that came", e)
	}

	next, _ = follow(t, url, "1.2")
	if e := next(); e.ID != "1.3" {
		t.Errorf("resumed: got %+v, want 1.3", e)
	}
	f.mu.Lock()
	f.first = 3
	f.mu.Unlock()
	next, _ = follow(t, url+"?since=1.1", "")
	if e := next(); e.Type != models.EventsLost || e.Data["lost"] != "1" {
		t.Errorf("got %+v, want that one is lost", e)
	}
	if e := next(); e.ID != "1.3" {
		t.Errorf("got %+v, want 1.3", e)
	}
}

// TestBadEvents: what cannot be asked for has the right status.
func TestBadEvents(t *testing.T) {
	_, url := eventServer(t)
	none := httptest.NewServer(Handler(Options{}))
	defer none.Close()
	for _, c := range []struct {
		url  string
		want int
	}{
		{url + "?since=x", http.StatusBadRequest},
		{url + "?from=yesterday", http.StatusBadRequest},
		{url + "?limit=0", http.StatusBadRequest},
		{url + "?limit=999999999", http.StatusOK}, // clamped
		{url + "?what=1", http.StatusBadRequest},
		{none.URL + "/v1/events", http.StatusNotFound},
	} {
		res, err := http.Get(c.url)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != c.want {
			t.Errorf("%s: got %d, want %d", c.url, res.StatusCode, c.want)
		}
	}
	res, err := http.Post(url, "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: got %d", res.StatusCode)
	}
}

// TestManyFollowers: a client more than the node takes is refused, and one that goes makes room.
func TestManyFollowers(t *testing.T) {
	_, url := eventServer(t)
	var streams []*http.Response
	for range maxFollowers {
		_, res := follow(t, url, "")
		if res.StatusCode != http.StatusOK {
			t.Fatalf("got %d", res.StatusCode)
		}
		streams = append(streams, res)
	}
	if _, res := follow(t, url, ""); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("one more: got %d, want 503", res.StatusCode)
	}
	streams[0].Body.Close()
	for limit := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		_, res := follow(t, url, "")
		if res.StatusCode == http.StatusOK {
			break
		}
		if time.Now().After(limit) {
			t.Fatal("a place does not become free")
		}
	}
}

// stalled is a client that takes nothing.
type stalled struct{ http.ResponseWriter }

func (s stalled) Write([]byte) (int, error) { return 0, errors.New("stalled") }

// TestFollowerThatTakesNothing: its stream ends, and its place is free.
func TestFollowerThatTakesNothing(t *testing.T) {
	f := &fakeEvents{came: make(chan struct{}), first: 1}
	f.add()
	h := &handler{Options: Options{Events: f}}
	r := httptest.NewRequest(http.MethodGet, "http://localhost/v1/events", nil)
	if _, err := h.follow(stalled{httptest.NewRecorder()}, r, &EventQuery{Limit: 10}); err != nil {
		t.Fatal(err)
	}
	if n := h.followers.Load(); n != 0 {
		t.Errorf("got %d followers, want none", n)
	}
}
