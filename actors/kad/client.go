package kad

import (
	"context"
	"crypto"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/dht/kad"
	"github.com/gamelan-p2p/gamelan/dht/kad/lookup"
	"github.com/gamelan-p2p/gamelan/dht/kad/record"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Client is a running client of the key-value DHT. All methods may be called from any
// goroutine. Those with a context wait, at most until it ends, so an actor calls them in a
// task.
type Client struct {
	x      *core
	closed sync.Once
	err    error
}

// Start attaches a client to a host, and returns when its gateways work. It fails with an
// error that matches [ErrConfig], [ErrNameTaken], [ErrNoGateway], [ErrSchema], or with that
// of a network or of the disk. ctx bounds the start, not the life of the client.
func Start(ctx context.Context, h Host, c Config) (*Client, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	if k, ok := h.(*Kad); ok {
		c.AllowPrivate = c.AllowPrivate || k.AllowPrivate
	}
	all := h.clients()
	if !all.reserve(c.Name) {
		return nil, fmt.Errorf("%w: %q", ErrNameTaken, c.Name)
	}
	client, err := start(ctx, h, c)
	if err != nil {
		all.remove(c.Name)
		return nil, err
	}
	all.set(c.Name, client)
	return client, nil
}

func start(ctx context.Context, h Host, c Config) (_ *Client, err error) {
	if len(c.Networks) == 0 {
		if c.Networks, err = h.Networks(&c); err != nil {
			return nil, err
		}
	}
	if len(c.Networks) == 0 {
		return nil, ErrNoGateway
	}
	if c.Keeper == nil {
		if c.Keeper, err = h.Keeper(&c); err != nil {
			return nil, err
		}
	}
	x, err := open(ctx, h, c)
	if err != nil {
		return nil, errors.Join(err, closeKeeper(c.Keeper))
	}
	client := &Client{x: x}
	a, err := supervisor.Ask[supervisor.Attached](ctx, h.System(), h.Group(), supervisor.Attach{Spec: supervisor.Spec{
		Name: c.Name, Kind: "kadClient", New: func() actor.Actor { return newClientActor(x) }, Drains: true,
	}})
	if err != nil { // the group may attach it yet
		x.tell(h.Group(), supervisor.Detach{Name: c.Name})
	}
	if err = cmpErr(err, a.Err); err != nil {
		return nil, errors.Join(fmt.Errorf("kad: start client %s: %w", c.Name, err), closeKeeper(c.Keeper))
	}
	// The actors have started, one below the other, when they know that they do not know this.
	for _, pid := range []*actor.PID{x.client, h.System().NewLocalPID(x.path + "/gateways")} {
		_, _ = supervisor.Ask[opened](ctx, h.System(), pid, hasRead{})
	}
	for _, g := range x.gates {
		if err := client.awaitOpen(ctx, g); err != nil {
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), startGrace)
			defer cancel()
			return nil, errors.Join(fmt.Errorf("kad: open %s: %w", g.network.Label(), err), client.Close(stop))
		}
	}
	return client, nil
}

// startGrace is how long a client may take to stop after its start has failed.
const startGrace = time.Second

func cmpErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func closeKeeper(k Keeper) error {
	if k == nil {
		return nil
	}
	return k.Close()
}

// open reads what is on the disk, and decides the client's id.
func open(ctx context.Context, h Host, c Config) (*core, error) {
	kept := &Kept{}
	if c.Keeper != nil {
		var err error
		if kept, err = c.Keeper.Load(ctx); err != nil {
			return nil, err
		}
	}
	var self ID
	switch {
	case c.Overlay == Native:
		key := c.PublicKey
		if key == (identity.PublicKey{}) {
			key = h.PublicKey()
		}
		c.PublicKey = key
		self = kad.NodeID(key)
	case !c.ID.IsZero():
		self = c.ID
	case !kept.ID.IsZero():
		self = kept.ID
	default:
		self = kad.RandomID(c.idLen(), systemRand{})
	}
	if c.Overlay == Seed && c.Keeper != nil && kept.ID != self {
		if err := c.Keeper.Commit(ctx, Batch{ID: self, Sync: true}); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrStore, err)
		}
	}
	x := newCore(h, c, self)
	x.kept.Store(kept)
	x.figures.damaged.Store(uint64(kept.Damaged))
	return x, nil
}

// systemRand is randomness that nobody can predict.
type systemRand struct{}

func (systemRand) Uint64() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return binary.LittleEndian.Uint64(b[:])
}

// awaitOpen waits until a gateway works.
func (c *Client) awaitOpen(ctx context.Context, g *gate) error {
	r, err := supervisor.Ask[opened](ctx, c.x.host.System(), g.pid, awaitOpen{})
	return cmpErr(err, r.err)
}

// ask asks an actor of the client and waits for its reply.
func clientAsk[R any](ctx context.Context, c *Client, pid *actor.PID, m any) (R, error) {
	var none R
	if c.x.closing.Load() {
		return none, ErrClosed
	}
	r, err := supervisor.Ask[R](ctx, c.x.host.System(), pid, m)
	switch {
	case err == nil:
	case c.x.closing.Load():
		return none, ErrClosed
	case errors.Is(err, supervisor.ErrNoActor), errors.Is(err, supervisor.ErrFailed):
		return none, fmt.Errorf("%w: %w", ErrRestarted, err)
	}
	return r, err
}

// Name returns the client's name.
func (c *Client) Name() string { return c.x.Name }

// ID returns the client's id.
func (c *Client) ID() ID { return c.x.self }

// IDLen returns the length of ids in the client's overlay, in bytes.
func (c *Client) IDLen() int { return c.x.idLen() }

// Overlay returns the client's overlay.
func (c *Client) Overlay() Overlay { return c.x.Overlay }

// PID returns the client's actor.
func (c *Client) PID() *actor.PID { return c.x.client }

// View returns the routing table of now. It never changes, and nobody waits for it.
func (c *Client) View() *View { return c.x.view.Load().View }

// Mode returns the present mode.
func (c *Client) Mode() Mode { return c.x.modeNow() }

// SetMode changes the mode of the running client.
func (c *Client) SetMode(ctx context.Context, m Mode) error {
	if m > ClientOnly {
		return fmt.Errorf("%w: mode %d", ErrConfig, m)
	}
	_, err := clientAsk[modeSet](ctx, c, c.x.client, setMode{m})
	return err
}

// State returns what the client is doing about its network.
func (c *Client) State() State { return State(c.x.state.Load()) }

// Addresses returns the addresses that lead to the client.
func (c *Client) Addresses() (all []Address) {
	for _, g := range c.x.gates {
		if own := g.own.Load(); own != nil {
			all = append(all, *own...)
		}
	}
	return all
}

// Key returns the key of a name in the overlay Seed: its hash.
func (c *Client) Key(name []byte) (Key, error) {
	if c.x.Overlay != Seed {
		return Key{}, fmt.Errorf("%w: keys follow from what is stored", ErrOverlay)
	}
	return kad.HashKey(c.x.Hasher, name)
}

// Put stores an immutable value, whose key is its hash. The value is at most 8,192 bytes
// long. It is kept, and published again until [Client.Forget], as soon as Put has written it
// down; the report says what became of it at the nodes nearest to the key. Put fails with a
// [*PartialError] when fewer than the quorum stored it, with [ErrNoPeers], or with an error
// of its own node, [ErrStore] or a [*QuotaError]; only the last two mean that it is not kept.
func (c *Client) Put(ctx context.Context, value []byte) (Report, error) {
	if c.x.Overlay != Native {
		return Report{}, fmt.Errorf("%w: use PutOpaque", ErrOverlay)
	}
	r, err := record.Immutable(append([]byte(nil), value...))
	if err != nil {
		return Report{}, err
	}
	return c.publish(ctx, r, 0, nil)
}

// PutOpaque stores a value under a name in the overlay Seed, where whoever stores last wins.
// It is [Client.Put] apart from that. The report's outcomes say that the value was sent: that
// network has no answers.
func (c *Client) PutOpaque(ctx context.Context, name, value []byte) (Report, error) {
	key, err := c.Key(name)
	if err != nil {
		return Report{}, err
	}
	for _, g := range c.x.gates {
		if most := g.limits.MaxValue; most > 0 && len(value) > most {
			return Report{Key: key}, &TooLarge{Size: len(value), Max: most, Gateway: g.network.Label()}
		}
	}
	return c.publish(ctx, &Record{Kind: kad.Opaque, Key: key, Value: append([]byte(nil), value...)}, 0, nil)
}

// Value is what [Client.PutSigned] publishes.
type Value struct {
	Salt []byte // at most 64 bytes; parts the values of one signer
	Body []byte // at most 8,192 bytes
	// TTL is how long the value lives, at most 7 days; 0: a day. While the client runs, it
	// signs the value again before that.
	TTL time.Duration
	// Seq is the number of the version; 0: one more than the highest that is found.
	Seq uint64
}

// defaultTTL is the life of a signed value.
const defaultTTL = 24 * time.Hour

// PutSigned stores a value that its signer, an Ed25519 key, can change. It is [Client.Put]
// apart from that, and also fails with a [*SeqTooLowError] when a node holds a newer
// version.
func (c *Client) PutSigned(ctx context.Context, signer crypto.Signer, v Value) (Report, error) {
	return c.sign(ctx, signer, v, false)
}

// Delete replaces a signed value by a tombstone, which lives for 7 days.
func (c *Client) Delete(ctx context.Context, signer crypto.Signer, salt []byte) (Report, error) {
	return c.sign(ctx, signer, Value{Salt: salt, TTL: record.MaxLife}, true)
}

func (c *Client) sign(ctx context.Context, signer crypto.Signer, v Value, tombstone bool) (Report, error) {
	if c.x.Overlay != Native {
		return Report{}, fmt.Errorf("%w: it has no signed values", ErrOverlay)
	}
	if signer == nil {
		return Report{}, fmt.Errorf("%w: no signer", ErrBadSignature)
	}
	if v.TTL == 0 {
		v.TTL = defaultTTL
	}
	content := record.Content{
		Salt: append([]byte(nil), v.Salt...), Value: append([]byte(nil), v.Body...), Seq: v.Seq,
		Expires: c.x.host.Wall().Add(v.TTL), Tombstone: tombstone,
	}
	r, err := record.Sign(signer, content, c.x.host.Wall()) // also finds out the key
	if err != nil {
		return Report{}, err
	}
	if v.Seq == 0 {
		best, err := c.newest(ctx, r.Key)
		if err != nil {
			return Report{Key: r.Key}, err
		}
		content.Seq = 1
		if best != nil {
			content.Seq = best.Seq + 1
		}
		if r, err = record.Sign(signer, content, c.x.host.Wall()); err != nil {
			return Report{Key: r.Key}, err
		}
	}
	report, err := c.publish(ctx, r, v.TTL, signer)
	if now := report.Current; now != nil && record.Compare(now, r) > 0 {
		return report, &SeqTooLowError{Current: now}
	}
	return report, err
}

// newest returns the newest version of a signed value that is found, nil if there is none.
func (c *Client) newest(ctx context.Context, key Key) (*Record, error) {
	local, err := clientAsk[localRecord](ctx, c, c.x.store, readLocal{key: key})
	if err != nil {
		return nil, err
	}
	reply, err := c.look(ctx, key, lookup.ForNewest, getOptions{quorum: c.x.Params.Quorum})
	if err != nil {
		return nil, err
	}
	best := reply.Record
	if best == nil || local.record != nil && record.Compare(local.record, best) > 0 {
		best = local.record
	}
	return best, nil
}

// publish writes a record down as a publication of this client, and stores it at the nodes
// nearest to its key.
func (c *Client) publish(ctx context.Context, r *Record, ttl time.Duration, signer crypto.Signer) (Report, error) {
	none := Report{Key: r.Key}
	stored, err := clientAsk[ownStored](ctx, c, c.x.store, putOwn{r, ttl, signer})
	if err = cmpErr(err, stored.err); err != nil {
		return none, err
	}
	if c.x.view.Load().Len() == 0 {
		return none, ErrNoPeers
	}
	token := c.x.ref()
	reply, err := clientAsk[*PutReply](ctx, c, c.x.lookups, StartPut{Token: token, Record: r, TTL: publishLife(ttl)})
	if err != nil {
		c.x.tell(c.x.lookups, GiveUp{token})
		return none, err
	}
	c.x.tell(c.x.upkeep, ownPublished{r.Key, reply.Err == nil && reply.Report.Accepted > 0})
	if reply.Err == nil && len(reply.Report.Outcomes) == 0 {
		return reply.Report, ErrNoPeers
	}
	return reply.Report, reply.Err
}

// Forget ends the publication of a record; nodes that store it let it expire. It fails with
// [ErrNotFound] if the client does not publish it.
func (c *Client) Forget(ctx context.Context, key Key) error {
	r, err := clientAsk[forgotten](ctx, c, c.x.store, forgetOwn{key})
	switch {
	case err != nil:
		return err
	case r.err != nil:
		return r.err
	case !r.found:
		return fmt.Errorf("%w: the client does not publish this key", ErrNotFound)
	}
	return nil
}

// Own returns the records that the client publishes, in the order of their keys.
func (c *Client) Own(ctx context.Context) ([]Publication, error) {
	r, err := clientAsk[ownList](ctx, c, c.x.store, listOwn{})
	return r.list, err
}

// GetOption is an option of [Client.Get], [Client.GetTraced] and [Client.Closest].
type GetOption func(*getOptions)

type getOptions struct {
	quorum int
	stale  time.Duration
	traced func(Step)
	result *Found
}

// Quorum is how many holders must agree on the newest version of a signed value.
func Quorum(n int) GetOption { return func(o *getOptions) { o.quorum = max(n, 1) } }

// MaxStale accepts a version of a signed value that the network confirmed at most d ago,
// without asking again.
func MaxStale(d time.Duration) GetOption { return func(o *getOptions) { o.stale = d } }

// Traced has f called for each step of the lookup as it happens, on the caller's goroutine.
func Traced(f func(Step)) GetOption { return func(o *getOptions) { o.traced = f } }

// Into has the result of the lookup written to r: why it ended, whom it asked, how long it
// took. It stays empty if the network was not asked.
func Into(r *Found) GetOption { return func(o *getOptions) { o.result = r } }

// Get returns the record under a key. It fails with [ErrNotFound], also when the value was
// deleted, [ErrIsolated], a [*LimitError] or a [*LookupFailedError]. When ctx ends, Get
// returns at once, and the lookup ends unless others wait for it.
func (c *Client) Get(ctx context.Context, key Key, opts ...GetOption) (*Record, error) {
	o := getOptions{quorum: c.x.Params.Quorum}
	for _, f := range opts {
		f(&o)
	}
	local, err := clientAsk[localRecord](ctx, c, c.x.store, readLocal{key, o.stale})
	if err != nil {
		return nil, err
	}
	if local.enough {
		return alive(local.record)
	}
	mode := lookup.ForNewest
	if c.x.Overlay == Seed {
		mode, o.quorum = lookup.ForFirst, 0
	}
	r, err := c.look(ctx, key, mode, o)
	best := r.Record
	if local.record != nil && (best == nil || record.Compare(local.record, best) > 0) {
		best = local.record
	}
	if best != nil {
		return alive(best)
	}
	if err == nil && r.Answers == 0 {
		err = ErrIsolated
		if c.x.view.Load().Len() == 0 {
			err = ErrNoPeers
		}
	}
	if err == nil {
		err = fmt.Errorf("%w: %d nodes were asked", ErrNotFound, r.Asked)
	}
	return nil, err
}

// alive returns a record that is no tombstone.
func alive(r *Record) (*Record, error) {
	if r.Tombstone() {
		return nil, fmt.Errorf("%w: the value was deleted", ErrNotFound)
	}
	return r, nil
}

// Closest returns the nodes nearest to an id that answer, nearest first. It fails with
// [ErrNoPeers], [ErrIsolated], a [*LimitError] or a [*LookupFailedError].
func (c *Client) Closest(ctx context.Context, id ID, opts ...GetOption) ([]Contact, error) {
	var o getOptions
	for _, f := range opts {
		f(&o)
	}
	o.quorum = 0
	r, err := c.look(ctx, id, lookup.ForNodes, o)
	if err == nil && len(r.Nearest) == 0 {
		err = ErrIsolated
		if c.x.view.Load().Len() == 0 {
			err = ErrNoPeers
		}
	}
	return r.Nearest, err
}

// look runs a lookup on the caller's goroutine.
func (c *Client) look(ctx context.Context, target ID, mode lookup.Mode, o getOptions) (Found, error) {
	token := c.x.ref()
	seen := 0
	var m any = StartLookup{Token: token, Target: target, Mode: mode, Quorum: o.quorum, Traced: o.traced != nil}
	for {
		r, err := c.lookStep(ctx, token, m)
		if err != nil {
			return Found{}, err
		}
		for _, s := range r.Steps {
			if o.traced != nil {
				c.show(token, o.traced, s)
			}
		}
		seen += len(r.Steps)
		if r.Done {
			if o.result != nil {
				*o.result = r.Result
			}
			return r.Result, r.Err
		}
		m = NextSteps{Token: token, Seen: seen}
	}
}

// show calls the caller's function. If it panics, the lookup is given up.
func (c *Client) show(token uint64, f func(Step), s Step) {
	done := false
	defer func() {
		if !done {
			c.x.tell(c.x.lookups, GiveUp{token})
		}
	}()
	f(s)
	done = true
}

func (c *Client) lookStep(ctx context.Context, token uint64, m any) (*LookupReply, error) {
	r, err := clientAsk[*LookupReply](ctx, c, c.x.lookups, m)
	if err != nil {
		c.x.tell(c.x.lookups, GiveUp{token})
	}
	return r, err
}

// Ping asks a contact whether it is there, and returns how long its answer took. It fails
// with an error that matches [ErrUnreachable].
func (c *Client) Ping(ctx context.Context, who Contact) (time.Duration, error) {
	a, err := c.request(ctx, who, kad.Message{Verb: kad.Ping})
	if err != nil {
		return 0, err
	}
	return a.took, nil
}

// Connect asks a node for this client's own id, which makes it a contact if there is room,
// and returns it. target is an address as in /ip4/192.0.2.7/udp/12345, or, where nodes have
// keys, KEY::ADDRESS. It fails with [kad.ErrAddress] or an error that matches
// [ErrUnreachable].
func (c *Client) Connect(ctx context.Context, target string) (Contact, error) {
	who, err := ParseContact(target)
	if err != nil {
		return Contact{}, err
	}
	return c.ConnectTo(ctx, who)
}

// ConnectTo is [Client.Connect] for a contact.
func (c *Client) ConnectTo(ctx context.Context, who Contact) (Contact, error) {
	a, err := c.request(ctx, who, kad.Message{Verb: kad.FindNode, Target: c.x.self})
	if err != nil {
		return Contact{}, err
	}
	c.x.tell(c.x.upkeep, &nodeAsked{contact: a.peer})
	// The gateway has told the table before: when the table knows that it does not know this,
	// the contact is in the view.
	_, _ = supervisor.Ask[opened](ctx, c.x.host.System(), c.x.table, hasRead{})
	return a.peer, nil
}

// ParseContact returns the contact that a text names: an address, or KEY::ADDRESS[::ADDRESS…].
func ParseContact(text string) (who Contact, err error) {
	parts := strings.Split(text, "::")
	// An IPv6 address has two colons, too: a key comes first, and holds no slash.
	if !strings.Contains(parts[0], "/") && len(parts) > 1 {
		key, err := identity.ParsePublicKey(parts[0])
		if err != nil {
			return Contact{}, fmt.Errorf("%w: %w", kad.ErrAddress, err)
		}
		who.PublicKey, who.ID = key, kad.NodeID(key)
		text = strings.TrimPrefix(text, parts[0]+"::")
	}
	for a := range strings.SplitSeq(strings.ReplaceAll(text, "::/", "\n/"), "\n") {
		at, err := kad.ParseAddress(a)
		if err != nil {
			return Contact{}, err
		}
		who.Addresses = append(who.Addresses, at)
	}
	if len(who.Addresses) > kad.MaxAddresses {
		who.Addresses = who.Addresses[:kad.MaxAddresses]
	}
	return who, nil
}

// request sends one request and waits for the answer.
func (c *Client) request(ctx context.Context, who Contact, m kad.Message) (*answer, error) {
	at := Address("")
	if len(who.Addresses) > 0 {
		at = who.Addresses[0]
	}
	g, route := c.x.route(&who)
	if g == nil {
		return nil, &UnreachableError{at, "no gateway of the client reaches it"}
	}
	a, err := clientAsk[*answer](ctx, c, g.pid, &direct{ask{core: c.x, ref: c.x.ref(), to: who, route: route, msg: m}})
	switch {
	case err != nil:
		return nil, err
	case a.state != answered:
		return nil, &UnreachableError{at, a.why}
	case a.msg.Status == kad.RateLimited:
		return nil, &RateLimitedError{a.msg.RetryAfter}
	}
	return a, nil
}

// direct is an ask of a caller outside of the actors: its sender gets the answer.
type direct struct{ ask }

// Discard does nothing: the caller hears that the actor failed.
func (d *direct) Discard() {}

// Events returns the events from now on, until ctx ends or the client is closed.
func (c *Client) Events(ctx context.Context) iter.Seq[Event] {
	first, err := clientAsk[eventsRead](ctx, c, c.x.client, firstEvent{})
	next := first.next
	return func(yield func(Event) bool) {
		for err == nil {
			var r eventsRead
			if r, err = clientAsk[eventsRead](ctx, c, c.x.client, awaitEvents{next}); errors.Is(err, ErrRestarted) {
				err = nil // the actor failed, and has its events
				continue
			}
			if err != nil || r.closed {
				return
			}
			for _, e := range r.events {
				if !yield(e) {
					return
				}
			}
			next = r.next
		}
	}
}

// Close ends the client: calls under way fail with [ErrClosed], lookups end, and what is not
// on the disk yet is written. It is idempotent, and takes until ctx ends at most.
func (c *Client) Close(ctx context.Context) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, closeTimeout)
		defer cancel()
	}
	c.closed.Do(func() { c.err = c.close(ctx) })
	return c.err
}

func (c *Client) close(ctx context.Context) error {
	x := c.x
	x.closing.Store(true)
	defer x.host.clients().remove(x.Name)
	err := c.end(ctx)
	return errors.Join(err, closeKeeper(x.Keeper))
}

// end has the client's actors finish their work, and waits until they have stopped.
func (c *Client) end(ctx context.Context) error {
	sys, x := c.x.host.System(), c.x
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = x.host.Now().Add(closeTimeout)
	}
	_, err := supervisor.Ask[supervisor.Drained](ctx, sys, x.client, supervisor.Drain{Deadline: deadline})
	if errors.Is(err, supervisor.ErrNoActor) { // it has failed, or its host has ended
		err = nil
	}
	sys.Root.Send(x.host.Group(), supervisor.Detach{Name: x.Name})
	for _, pid := range []*actor.PID{x.host.Group(), x.client} { // the group has read Detach; the client has stopped
		_, gone := supervisor.Ask[supervisor.Drained](ctx, sys, pid, hasRead{})
		if ctx.Err() != nil && gone != nil {
			err = errors.Join(err, fmt.Errorf("kad: close client %s: %w", x.Name, ctx.Err()))
			break
		}
	}
	return err
}

// closeTimeout bounds a Close without a deadline.
const closeTimeout = 10 * time.Second

// hasRead is known to no actor: who asks learns that the actor has read all that was sent
// before, or has ended.
type hasRead struct{}
