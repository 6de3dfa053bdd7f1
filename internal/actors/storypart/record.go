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

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/feed"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/internal/story"
	"github.com/gamelan-p2p/gamelan/internal/words"
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

	open []models.Event // troubles that earlier starts have left open; the actor log takes them

	mu        sync.Mutex
	kept      *story.Record[models.Event]
	unwritten []story.Kept[models.Event]

	writing sync.Mutex // held while events are written, so that batches follow each other
	lowest  uint64     // number of the oldest event on the disk; guarded by writing
}

// OpenRecord reads the events of earlier starts. db is nil for a node that keeps nothing on a disk. If the
// disk fails, the events are kept in memory alone, and err says why.
func OpenRecord(db kv.DB) (r *Record, err error) {
	r = &Record{feed: feed.New(func(struct{}, uint64) struct{} { return struct{}{} })}
	var last story.ID
	var earlier []story.Kept[models.Event]
	if db != nil {
		r.disk = db.Client()
		if last, earlier, err = r.load(); err != nil {
			r.disk, r.open, last, earlier = nil, nil, story.ID{}, nil // its numbers are not known
		}
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
	if earlier, err = r.scan(0, nil); err != nil {
		return last, earlier, err
	}
	r.open = openTroubles(earlier)
	earlier = slices.Clone(earlier[max(0, len(earlier)-inMemory):])
	entries, failed := r.disk.Scan([]byte{kv.Bulk, keyPrefix})
	r.lowest = last.Seq + 1
	for key := range entries {
		r.lowest = binary.BigEndian.Uint64(key[2:])
		break
	}
	if err := failed(); err != nil {
		return last, earlier, err
	}
	var b kv.Batch
	b.Set(metaKey, meta(story.ID{Boot: last.Boot + 1, Seq: last.Seq}))
	return last, earlier, kv.Reapplied(func(bool) error { return r.disk.Apply(&b, true) })
}

// openTroubles returns the events of the troubles that no event ends, in their order.
func openTroubles(all []story.Kept[models.Event]) (list []models.Event) {
	for _, k := range all {
		switch k.Event.Type {
		case models.TroubleBegan, models.TroubleOver:
			list = slices.DeleteFunc(list, func(e models.Event) bool { return e.Code == k.Event.Code })
		}
		if k.Event.Type == models.TroubleBegan {
			list = append(list, k.Event)
		}
	}
	return list
}

// takeOpen returns the troubles that earlier starts have left open, once. The actor log alone calls it.
func (r *Record) takeOpen() (list []models.Event) {
	list, r.open = r.open, nil
	return list
}

func meta(id story.ID) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, id.Boot), id.Seq)
}

// scan returns the events on the disk after a number, up to those that until refuses. It leaves out
// what cannot be read.
func (r *Record) scan(after uint64, until func(story.ID) bool) (list []story.Kept[models.Event], err error) {
	entries, failed := r.disk.ScanFrom([]byte{kv.Bulk, keyPrefix}, eventKey(after+1))
	for _, value := range entries {
		var e models.Event
		if json.Unmarshal(value, &e) != nil {
			continue
		}
		id, ok := story.ParseID(e.ID)
		if !ok {
			continue
		}
		if until != nil && until(id) {
			break
		}
		list = append(list, story.Kept[models.Event]{ID: id, Event: e})
	}
	return list, failed()
}

// mostText bounds each text of an event, in bytes: peers choose some of them.
const mostText = 1 << 10

// add records an event of a time of the system's clock.
func (r *Record) add(at time.Time, e models.Event) {
	text := func(t string) string { return words.Details([]byte(t), mostText) }
	e.At, e.What, e.Addr = at.UTC().Truncate(time.Millisecond), text(e.What), text(e.Addr)
	for name, value := range e.Data {
		e.Data[name] = text(value)
	}
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

// pending reports whether events are to be written.
func (r *Record) pending() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.unwritten) > 0
}

// waiting returns the events that are to be written.
func (r *Record) waiting() []story.Kept[models.Event] {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.unwritten)
}

// write writes what waits, and deletes the oldest.
func (r *Record) write() error {
	r.writing.Lock()
	defer r.writing.Unlock()
	list := r.waiting()
	if len(list) == 0 {
		return nil
	}
	var b kv.Batch
	for _, k := range list {
		value, err := json.Marshal(k.Event)
		if err != nil {
			return err
		}
		b.Set(eventKey(k.ID.Seq), value)
	}
	last, lowest := list[len(list)-1].ID, r.lowest
	for ; lowest+onDisk <= last.Seq; lowest++ {
		b.Delete(eventKey(lowest))
	}
	b.Set(metaKey, meta(last))
	if err := kv.Reapplied(func(bool) error { return r.disk.Apply(&b, true) }); err != nil {
		return err // they wait
	}
	r.lowest = lowest
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unwritten = slices.DeleteFunc(r.unwritten, func(k story.Kept[models.Event]) bool { return k.ID.Compare(last) <= 0 })
	return nil
}

// End ends all that wait for events.
func (r *Record) End() { r.feed.Close() }

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
		return after.Compare(r.kept.Last()) < 0
	})
}

func badSince(text string) error {
	return &inspect.Error{Code: inspect.CodeBadQuery, Message: fmt.Sprintf("since cannot be %q", text), Hint: "give the id of an event, such as 1.20"}
}

// Select implements [inspect.Events].
func (r *Record) Select(q *inspect.EventQuery) (models.Events, error) {
	wanted := *q
	if id, err := identity.ParsePeer(q.Peer); err == nil {
		wanted.Peer = id.String()
	}
	if wanted.Limit <= 0 {
		wanted.Limit = inspect.MaxLimit
	}
	var after story.ID
	if q.Since != "" {
		var ok bool
		if after, ok = story.ParseID(q.Since); !ok {
			return models.Events{}, badSince(q.Since)
		}
	}
	r.mu.Lock()
	last := r.kept.Last()
	reset := after.Compare(last) > 0 // an id of another directory, or of a node without one
	if reset {
		after = story.ID{}
	}
	list, whole := r.kept.After(after)
	r.mu.Unlock()
	if q.Since == "" {
		return r.latest(&wanted, list, whole, last)
	}
	if !whole {
		old, err := r.before(after, list)
		if err != nil {
			return models.Events{}, err
		}
		list = append(old, list...)
	}
	all := models.Events{Events: []models.Event{}, Next: last.String(), Lost: story.Missing(after, list), Reset: reset}
	for i, k := range list {
		if !matches(&k.Event, &wanted) {
			continue
		}
		if all.Events = append(all.Events, k.Event); len(all.Events) == wanted.Limit && i+1 < len(list) {
			all.Next = k.ID.String()
			break
		}
	}
	return all, nil
}

// latest returns the last events that match: those in memory, and if these are too few, older ones.
func (r *Record) latest(q *inspect.EventQuery, list []story.Kept[models.Event], whole bool, last story.ID) (models.Events, error) {
	all := models.Events{Events: []models.Event{}, Next: last.String()}
	some := matching(list, q)
	if len(some) <= q.Limit && !whole {
		old, err := r.before(story.ID{}, list)
		if err != nil {
			return all, err
		}
		some = append(matching(old, q), some...)
	}
	all.Earlier = len(some) > q.Limit
	all.Events = append(all.Events, some[max(0, len(some)-q.Limit):]...)
	return all, nil
}

// before returns the events on the disk after a place, and before those of a list.
func (r *Record) before(after story.ID, list []story.Kept[models.Event]) ([]story.Kept[models.Event], error) {
	if r.disk == nil {
		return nil, nil
	}
	from := after.Seq
	if len(list) > 0 && after.Boot != list[0].ID.Boot {
		from = 0 // numbers of events that were not written come again after a crash
	}
	old, err := r.scan(from, func(id story.ID) bool { return len(list) > 0 && id.Compare(list[0].ID) >= 0 })
	if err != nil {
		return nil, fmt.Errorf("the events cannot be read: %w", err)
	}
	return slices.DeleteFunc(old, func(k story.Kept[models.Event]) bool { return k.ID.Compare(after) <= 0 }), nil
}

func matching(list []story.Kept[models.Event], q *inspect.EventQuery) (some []models.Event) {
	for i := range list {
		if matches(&list[i].Event, q) {
			some = append(some, list[i].Event)
		}
	}
	return some
}

func matches(e *models.Event, q *inspect.EventQuery) bool {
	if q.Peer != "" && !strings.HasPrefix(e.Peer, q.Peer) || !q.From.IsZero() && e.At.Before(q.From) || !q.To.IsZero() && e.At.After(q.To) {
		return false
	}
	return len(q.Types) == 0 || slices.ContainsFunc(q.Types, func(t string) bool {
		return e.Type == t || strings.HasPrefix(e.Type, t+".")
	})
}
