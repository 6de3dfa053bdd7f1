package storypart

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/feed"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/internal/story"
)

const (
	// inMemory is how many events are kept in memory, and onDisk how many on the disk.
	inMemory = 1000
	onDisk   = 10_000
	// writeEvery is how long an event may wait until it is written.
	writeEvery = time.Second
	// retryEvery is how long a failed write waits.
	retryEvery = 10 * time.Second

	keyPrefix = 'e' // other parts of the node have different prefixes
)

var metaKey = []byte{keyPrefix, 'm'}

func eventKey(seq uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{kv.Bulk, keyPrefix}, seq)
}

// errRecordClosed reports that the node ends.
var errRecordClosed = errors.New("the node ends")

// Record keeps the last events of the node: 1,000 in memory, and 10,000 on the disk, if the node has one. What
// happened in the last second before a kill may be missing there.
type Record struct {
	disk kv.Client // nil: it has none
	feed *feed.Feed[struct{}]

	mu        sync.Mutex
	kept      *story.Record[models.Event]
	unwritten []story.Kept[models.Event]
	closed    bool
}

// OpenRecord reads the events of earlier starts. db is nil for a node that keeps nothing on a disk. If the
// disk fails, earlier events are left out, and err says why.
func OpenRecord(db kv.DB) (r *Record, err error) {
	r = &Record{feed: feed.New(func(struct{}, uint64) struct{} { return struct{}{} })}
	var last story.ID
	var earlier []story.Kept[models.Event]
	if db != nil {
		r.disk = db.Client()
		last, earlier, err = r.load()
	}
	r.kept = story.NewRecord(inMemory, last, earlier)
	return r, err
}

// load returns the place of the last event on the disk, and the last events. It notes the new start.
func (r *Record) load() (last story.ID, earlier []story.Kept[models.Event], err error) {
	value, err := r.disk.Get(metaKey)
	switch {
	case errors.Is(err, kv.ErrNotFound):
	case err != nil:
		return last, nil, err
	case len(value) == 16:
		last = story.ID{Boot: binary.BigEndian.Uint64(value), Seq: binary.BigEndian.Uint64(value[8:])}
	}
	if earlier, err = r.scan(last.Seq - min(last.Seq, inMemory)); err != nil {
		return last, earlier, err
	}
	var b kv.Batch
	b.Set(metaKey, meta(story.ID{Boot: last.Boot + 1, Seq: last.Seq}))
	return last, earlier, r.disk.Apply(&b, true)
}

func meta(id story.ID) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, id.Boot), id.Seq)
}

// scan returns the events on the disk after a number. It leaves out what cannot be read.
func (r *Record) scan(after uint64) (list []story.Kept[models.Event], err error) {
	entries, failed := r.disk.ScanFrom([]byte{kv.Bulk, keyPrefix}, eventKey(after+1))
	for _, value := range entries {
		var e models.Event
		if json.Unmarshal(value, &e) != nil {
			continue
		}
		if id, ok := story.ParseID(e.ID); ok {
			list = append(list, story.Kept[models.Event]{ID: id, Event: e})
		}
	}
	return list, failed()
}

// add records an event of a time of the system's clock.
func (r *Record) add(at time.Time, e models.Event) {
	e.At = at.UTC().Truncate(time.Millisecond)
	r.mu.Lock()
	k := r.kept.Add(func(id story.ID) models.Event { e.ID = id.String(); return e })
	if r.disk != nil {
		if len(r.unwritten) == inMemory {
			r.unwritten = r.unwritten[1:]
		}
		r.unwritten = append(r.unwritten, k)
	}
	r.mu.Unlock()
	r.feed.Publish(func(uint64) struct{} { return struct{}{} })
}

// waiting reports whether events are to be written.
func (r *Record) waiting() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.unwritten) > 0
}

// write writes what waits, and deletes the oldest.
func (r *Record) write() error {
	r.mu.Lock()
	list := r.unwritten
	r.unwritten = nil
	r.mu.Unlock()
	if len(list) == 0 {
		return nil
	}
	var b kv.Batch
	for _, k := range list {
		value, err := json.Marshal(k.Event)
		if err != nil {
			continue // it holds texts alone
		}
		b.Set(eventKey(k.ID.Seq), value)
		if k.ID.Seq > onDisk {
			b.Delete(eventKey(k.ID.Seq - onDisk))
		}
	}
	b.Set(metaKey, meta(list[len(list)-1].ID))
	err := r.disk.Apply(&b, true)
	if errors.Is(err, kv.ErrReopened) {
		err = r.disk.Apply(&b, true)
	}
	if err != nil {
		r.mu.Lock()
		r.unwritten = append(list, r.unwritten...)
		r.unwritten = r.unwritten[max(0, len(r.unwritten)-inMemory):]
		r.mu.Unlock()
	}
	return err
}

// End ends all that wait for events.
func (r *Record) End() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.feed.Close()
}

// Close writes what waits. It is called when the actors have ended, and before the disk is closed.
func (r *Record) Close() error {
	r.End()
	return r.write()
}

// Await implements [inspect.Events].
func (r *Record) Await(ctx context.Context, since string) error {
	after, ok := story.ParseID(since)
	if !ok {
		return badSince(since)
	}
	return r.feed.Await(ctx, errRecordClosed, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return after.Compare(r.kept.Last()) < 0 || r.closed
	})
}

func badSince(text string) error {
	return &inspect.Error{Code: inspect.CodeBadQuery, Message: fmt.Sprintf("since cannot be %q", text), Hint: "give the id of an event, such as 1.20"}
}

// Select implements [inspect.Events].
func (r *Record) Select(q *inspect.EventQuery) (models.Events, error) {
	var after story.ID
	if q.Since != "" {
		var ok bool
		if after, ok = story.ParseID(q.Since); !ok {
			return models.Events{}, badSince(q.Since)
		}
	}
	r.mu.Lock()
	list, whole := r.kept.After(after)
	last, waiting := r.kept.Last(), slices.Clone(r.unwritten)
	r.mu.Unlock()
	if !whole && r.disk != nil {
		from := after.Seq
		if after.Boot != last.Boot {
			from = 0 // numbers of events that were not written come again after a crash
		}
		old, err := r.scan(from)
		if err != nil {
			return models.Events{}, fmt.Errorf("the events cannot be read: %w", err)
		}
		old = slices.DeleteFunc(old, func(k story.Kept[models.Event]) bool {
			return k.ID.Compare(after) <= 0 || len(waiting) > 0 && k.ID.Compare(waiting[0].ID) >= 0 || k.ID.Compare(last) > 0
		})
		list = append(old, waiting...)
	}
	all := models.Events{Events: []models.Event{}, Next: last.String()}
	if q.Since != "" {
		all.Lost = story.Missing(after, list)
	}
	for i, k := range list {
		if !matches(&k.Event, q) {
			continue
		}
		if all.Events = append(all.Events, k.Event); q.Since != "" && len(all.Events) == q.Limit && i+1 < len(list) {
			all.Next = k.ID.String()
			break
		}
	}
	if q.Since == "" { // the last ones
		all.Events = slices.Clone(all.Events[max(0, len(all.Events)-q.Limit):])
	}
	return all, nil
}

func matches(e *models.Event, q *inspect.EventQuery) bool {
	switch {
	case q.Peer != "" && !strings.HasPrefix(e.Peer, q.Peer), !q.From.IsZero() && e.At.Before(q.From):
		return false
	}
	return len(q.Types) == 0 || slices.ContainsFunc(q.Types, func(t string) bool {
		return e.Type == t || strings.HasPrefix(e.Type, t+".")
	})
}
