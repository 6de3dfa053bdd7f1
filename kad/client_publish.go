package kad

import (
	"cmp"
	"context"
	"crypto"
	"errors"
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/kad/lookup"
	"github.com/gamelan-p2p/gamelan/internal/kad/record"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// Key returns the key of a name in the overlay Seed: its hash.
func (c *Client) Key(name []byte) (Key, error) {
	if c.x.Overlay != Seed {
		return Key{}, fmt.Errorf("%w: keys follow from what is stored", ErrOverlay)
	}
	return overlay.HashKey(c.x.Hasher, name)
}

// Put stores an immutable value, whose key is its hash. The value is at most 8,192 bytes
// long. It is kept, and published again until [Client.Forget], as soon as Put has written it
// down; the report says what became of it at the nodes nearest to the key. An error after that
// is a [*KeptError] around its cause: a [*PartialError] when fewer than the quorum stored the
// value, [ErrNoPeers], or another one. [ErrStore] and a [*QuotaError] mean that it is not kept.
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
	return c.publish(ctx, &Record{Kind: overlay.Opaque, Key: key, Value: append([]byte(nil), value...)}, 0, nil)
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
// version. If that is this node, nothing is kept or sent.
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
	stored, err := clientAsk[ownStored](ctx, c, c.x.store, putOwn{r, ttl, signer})
	if err = cmp.Or(err, stored.err); err != nil {
		return Report{Key: r.Key}, err
	}
	report, err := c.distribute(ctx, r, ttl)
	if err == nil || c.x.Keeper == nil && errors.Is(err, ErrClosed) {
		return report, err
	}
	return report, &KeptError{Key: r.Key, Err: err, text: r.Key.Text(c.x.idLen())}
}

// distribute stores a publication at the nodes nearest to its key.
func (c *Client) distribute(ctx context.Context, r *Record, ttl time.Duration) (Report, error) {
	none := Report{Key: r.Key}
	if c.x.view.Load().Len() == 0 {
		return none, c.x.nobody()
	}
	token := c.x.ref()
	reply, err := clientAsk[*putReply](ctx, c, c.x.lookups, startPut{Token: token, Record: r, TTL: publishLife(ttl), Wide: true})
	if err != nil {
		c.x.tell(c.x.lookups, giveUp{token})
		return none, err
	}
	c.x.tell(c.x.store, ownPublished{r, reply.Err == nil && reply.Report.Accepted > 0})
	if reply.Err == nil && len(reply.Report.Outcomes) == 0 {
		return reply.Report, c.x.nobody()
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
