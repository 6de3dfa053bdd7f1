package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// Events are what happened in the node. All methods may be called from any goroutine.
type Events interface {
	// Select returns events, oldest first. The error is an [*Error], or a sentence.
	Select(q *EventQuery) (models.Events, error)
	// Await waits until there are events after that with the id since. The error is ctx's, or one
	// that says that there will be none.
	Await(ctx context.Context, since string) error
}

// EventQuery says which events are wanted.
type EventQuery struct {
	Since string    // id of an event: those after it, the oldest first; "": the last ones
	From  time.Time // not before; zero: whenever
	Peer  string    // node id of a peer, or its first digits; "": whomever they are about
	Types []string  // types, or their first parts, such as conn; none: all
	To    time.Time // not after; zero: whenever
	Limit int       // at most so many; 0: MaxLimit
}

const (
	// maxFollowers is how many clients may follow the events at a time.
	maxFollowers = 32
	// followPulse is the time after which a stream without events shows that it is alive.
	followPulse = 15 * time.Second
	// followWrite is how long a client may take nothing.
	followWrite = 30 * time.Second
)

// events answers with events: a list, or with Accept: text/event-stream those that follow, too.
func (h *handler) events(w http.ResponseWriter, r *http.Request, q *query) (any, error) {
	limit, _, note := q.window()
	e := EventQuery{Since: q.text("since"), Limit: limit}
	if types := q.text("type"); types != "" {
		e.Types = strings.Split(types, ",")
	}
	e.From, e.To = q.time("from"), q.time("to")
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		e.Since = id
	}
	switch {
	case q.err != nil:
		return nil, q.err
	case h.Events == nil:
		return nil, notFound("this node keeps no events", "look at its log")
	}
	if peer := q.text("peer"); peer != "" {
		e.Peer = strings.ToLower(peer)
		if v, err := h.value(r, "peers"); err == nil {
			if p, ok := findPeer(v, peer); ok {
				e.Peer = p.NodeID
			}
		}
	}
	if strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		return h.follow(w, r, &e)
	}
	list, err := h.Events.Select(&e)
	list.Note = note
	return list, err
}

// follow writes events as server-sent events until the client goes or the node ends.
func (h *handler) follow(w http.ResponseWriter, r *http.Request, q *EventQuery) (any, error) {
	if h.followers.Add(1) > maxFollowers {
		h.followers.Add(-1)
		return nil, &Error{Code: CodeBusy, Message: fmt.Sprintf("%d clients follow the events already", maxFollowers), Hint: "end one of them, or ask for lists"}
	}
	defer h.followers.Add(-1)
	first, err := h.Events.Select(q)
	if err != nil {
		return nil, err
	}
	head := w.Header()
	head.Set("Content-Type", "text/event-stream; charset=utf-8")
	head.Set("Cache-Control", "no-store")
	head.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusOK)
	s := sse{w, http.NewResponseController(w)}
	for all := first; s.all(&all) == nil; {
		q.Since, q.Limit = all.Next, MaxLimit
		for err = h.await(r.Context(), q.Since); errors.Is(err, context.DeadlineExceeded) && r.Context().Err() == nil && s.pulse() == nil; {
			err = h.await(r.Context(), q.Since)
		}
		if err != nil {
			break
		}
		if all, err = h.Events.Select(q); err != nil {
			break
		}
	}
	return done, nil
}

// time reads a parameter that is a time.
func (q *query) time(name string) time.Time {
	return parsed(q, name, time.Time{}, "give a time such as 2026-01-02T15:04:05Z", func(v string) (time.Time, bool) {
		t, err := time.Parse(time.RFC3339, v)
		return t, err == nil
	})
}

// await waits for events after one, or for the time of a sign of life.
func (h *handler) await(ctx context.Context, since string) error {
	pulse, cancel := context.WithTimeout(ctx, followPulse)
	defer cancel()
	err := h.Events.Await(pulse, since)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// sse writes server-sent events.
type sse struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

// all writes events, the last place first if some are lost, and flushes.
func (s *sse) all(list *models.Events) error {
	_ = s.rc.SetWriteDeadline(time.Now().Add(followWrite)) // a test's writer has none
	if list.Reset {
		anew := models.Event{Type: models.EventsLost, Severity: models.EventWarning, What: "the id is of another history; the oldest events that are kept follow"}
		if err := s.one(&anew); err != nil {
			return err
		}
	}
	if list.Lost > 0 {
		lost := models.Event{Type: models.EventsLost, Severity: models.EventWarning, What: Count(list.Lost, "event") + " before this are gone", Data: map[string]string{"lost": fmt.Sprint(list.Lost)}}
		if err := s.one(&lost); err != nil {
			return err
		}
	}
	for i := range list.Events {
		if err := s.one(&list.Events[i]); err != nil {
			return err
		}
	}
	return s.rc.Flush()
}

// pulse writes a comment, which shows that the node is there.
func (s *sse) pulse() error {
	_ = s.rc.SetWriteDeadline(time.Now().Add(followWrite))
	if _, err := fmt.Fprint(s.w, ":\n\n"); err != nil {
		return err
	}
	return s.rc.Flush()
}

func (s *sse) one(e *models.Event) error {
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if e.ID != "" {
		_, err = fmt.Fprintf(s.w, "id: %s\nevent: %s\ndata: %s\n\n", e.ID, e.Type, b)
	} else {
		_, err = fmt.Fprintf(s.w, "event: %s\ndata: %s\n\n", e.Type, b)
	}
	return err
}
