package kadpart

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/kad/nativewire"
	"github.com/gamelan-p2p/gamelan/internal/kad/record"
	"github.com/gamelan-p2p/gamelan/internal/words"
	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Hints of the errors of verbs.
const (
	HintClient     = "start the node with a client of the key-value DHT; /v1/kad lists the clients"
	HintClients    = "/v1/kad shows the clients"
	HintConnect    = "enter the network through a node that takes part in the key-value DHT"
	HintOwn        = "/v1/kad-own lists the keys that it publishes"
	HintSuperseded = "read it, and publish again"
	HintNoKad      = "let that node take part in the key-value DHT (kad.enabled = true), and not as a client only"
	HintNetwork    = "give both nodes the same kad.network"
)

// MaxPut is the length of the longest body of the verb put, in bytes. It is a [models.KadPut] as
// JSON.
const MaxPut = 2*(record.MaxValue+record.MaxSalt) + 1024

// Verbs returns the verbs of the part. Requests may carry keys that sign.
func (k *Kad) Verbs() map[string]map[string]inspect.Verb {
	on := func(do func(context.Context, *kad.Client, url.Values, []byte) (any, error), body int, params ...string) inspect.Verb {
		return inspect.Verb{
			Params: append([]string{"client"}, params...), Body: body, Local: true,
			Do: func(ctx context.Context, v url.Values, b []byte) (any, error) {
				c, err := k.named(v)
				if err != nil {
					return nil, err
				}
				result, err := do(ctx, c, v, b)
				return result, verbError(err)
			},
		}
	}
	return map[string]map[string]inspect.Verb{"kad": {
		"connect": on(k.connectVerb, 0, "target"),
		"forget":  on(forgetVerb, 0, "key"),
		"get":     on(getVerb, 0, "key", "quorum", "max_stale"),
		"put":     on(putVerb, MaxPut),
		"trace":   {Params: []string{"client", "target", "find"}, Local: true, Stream: k.traceVerb},
	}}
}

// named returns the client that a request names.
func (k *Kad) named(v url.Values) (*kad.Client, error) {
	c, ok := k.Client(v.Get("client"))
	if !ok {
		return nil, &inspect.Error{
			Code: inspect.CodeFailed, Message: fmt.Sprintf("no client %q of the key-value DHT runs on this node", inspect.Escape(v.Get("client"))), Hint: HintClient,
		}
	}
	return c, nil
}

// verbError returns the error for the client of the API.
func verbError(err error) error {
	var low *kad.SeqTooLowError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kad.ErrNotFound):
		return &inspect.Error{Code: inspect.CodeNoValue, Message: words.Sentence(err), Hint: "check the key; a value lives until it expires, unless its publisher publishes it again"}
	case errors.Is(err, kad.ErrNoPeers):
		return &inspect.Error{Code: inspect.CodeNoPeers, Message: "no other node is known", Hint: HintConnect}
	case errors.Is(err, kad.ErrIsolated):
		return &inspect.Error{Code: inspect.CodeNoPeers, Message: "no known node answers", Hint: HintConnect}
	case errors.As(err, &low):
		return &inspect.Error{Code: inspect.CodeSuperseded, Message: words.Sentence(err), Hint: HintSuperseded}
	}
	if known, ok := errors.AsType[*inspect.Error](err); ok {
		return known
	}
	return trunk.VerbError(err, HintClients)
}

// connectVerb makes a client ask another node whether it is there. Of a peer in another network of
// the key-value DHT, or without it, the error says that it is.
func (k *Kad) connectVerb(ctx context.Context, c *kad.Client, v url.Values, _ []byte) (any, error) {
	target := v.Get("target")
	who, err := c.Connect(ctx, target)
	if err == nil {
		return connectedTo(c, &who), nil
	}
	if who, bad := kad.ParseContact(target); bad != nil || who.PublicKey.IsZero() {
		return nil, err
	}
	ref, bad := k.Host.Connect(ctx, target, false) // the client does not say why it has no connection
	e, ok := errors.AsType[*inspect.Error](bad)
	if bad == nil {
		e = notInNetwork(ref.Peer, ref.Protocols, c.NetworkName())
	} else if !ok || e.Code != inspect.CodeFailed {
		e = nil
	}
	if e != nil {
		return nil, e
	}
	return nil, err
}

// notInNetwork returns why a peer that lists these protocols cannot be asked by a client in a
// network of the key-value DHT. It returns nil if the peer is in that network.
func notInNetwork(peer identity.NodeID, lists []protocol.ID, network string) *inspect.Error {
	named := func(network string) string {
		if network == "" {
			return "the common one"
		}
		return strconv.Quote(network)
	}
	var others []string
	for _, id := range lists {
		rest, is := strings.CutPrefix(string(id), string(nativewire.Protocol))
		theirs, name := strings.CutPrefix(rest, "/")
		switch {
		case !is, rest != "" && !name:
		case theirs == network:
			return nil
		default:
			others = append(others, named(theirs))
		}
	}
	who := inspect.ShortName(peer.String())
	if len(others) == 0 {
		return &inspect.Error{
			Code: inspect.CodeFailed, Message: fmt.Sprintf("the node %s does not offer the key-value DHT", who),
			Hint: HintNoKad,
		}
	}
	return &inspect.Error{
		Code:    inspect.CodeFailed,
		Message: fmt.Sprintf("the node %s is in another network of the key-value DHT: in %s, and this node in %s", who, strings.Join(others, ", "), named(network)),
		Hint:    HintNetwork,
	}
}

func connectedTo(c *kad.Client, who *kad.Contact) models.KadConnected {
	v := models.KadConnected{ID: who.ID.Text(c.IDLen()), Addresses: []string{}}
	for _, a := range who.Addresses {
		v.Addresses = append(v.Addresses, string(a))
	}
	return v
}

// keyOf reads a parameter that is a key or an id.
func keyOf(c *kad.Client, v url.Values, name string) (kad.Key, error) {
	key, err := overlay.ParseID(v.Get(name), c.IDLen())
	if err != nil {
		return key, &inspect.Error{Code: inspect.CodeBadQuery, Message: words.Sentence(err), Hint: "give it in hexadecimal digits"}
	}
	return key, nil
}

func forgetVerb(ctx context.Context, c *kad.Client, v url.Values, _ []byte) (any, error) {
	key, err := keyOf(c, v, "key")
	if err == nil {
		err = c.Forget(ctx, key)
	}
	if errors.Is(err, kad.ErrNotFound) {
		err = &inspect.Error{Code: inspect.CodeNoValue, Message: "the client does not publish this key", Hint: HintOwn}
	}
	return models.KadForgotten{Key: key.Text(c.IDLen())}, err
}

func getVerb(ctx context.Context, c *kad.Client, v url.Values, _ []byte) (any, error) {
	key, err := keyOf(c, v, "key")
	if err != nil {
		return nil, err
	}
	var opts []kad.GetOption
	if text := v.Get("quorum"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 1000 {
			return nil, &inspect.Error{Code: inspect.CodeBadQuery, Message: "quorum is no number from 1 to 1000", Hint: "leave it out"}
		}
		opts = append(opts, kad.Quorum(n))
	}
	if text := v.Get("max_stale"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil {
			return nil, &inspect.Error{Code: inspect.CodeBadQuery, Message: "max_stale is no time", Hint: "give it as 30s or 5m"}
		}
		opts = append(opts, kad.MaxStale(d))
	}
	r, err := c.Get(ctx, key, opts...)
	if err != nil {
		return nil, err
	}
	return recordModel(c, r), nil
}

func recordModel(c *kad.Client, r *kad.Record) models.KadRecord {
	v := models.KadRecord{Key: r.Key.Text(c.IDLen()), Kind: r.Kind.String(), Value: r.Value, Salt: r.Salt, Seq: r.Seq}
	if len(r.PublicKey) > 0 {
		v.PublicKey = fmt.Sprintf("%x", r.PublicKey)
	}
	if r.Expires > 0 {
		v.ExpiresAt = time.Unix(int64(min(r.Expires, 1<<40)), 0)
	}
	return v
}

func putVerb(ctx context.Context, c *kad.Client, _ url.Values, body []byte) (any, error) {
	var p models.KadPut
	if err := json.Unmarshal(body, &p); err != nil {
		return nil, &inspect.Error{Code: inspect.CodeBadQuery, Message: "the body is no JSON that says what to publish", Hint: `send {"value":"…"}`}
	}
	r, err := publish(ctx, c, &p)
	v := models.KadReport{Key: r.Key.Text(c.IDLen()), Accepted: r.Accepted, Quorum: r.Quorum, Outcomes: []models.KadOutcome{}}
	var partial *kad.PartialError
	var kept *kad.KeptError
	switch {
	case err == nil:
	case errors.As(err, &partial):
		v.Error = words.Sentence(partial)
	case errors.As(err, &kept):
		return nil, keptError(kept.Err, v.Key)
	default:
		return nil, err
	}
	if len(p.Seed) > 0 {
		own, _ := c.Own(ctx)
		for _, o := range own {
			if o.Record.Key == r.Key {
				v.Seq = o.Record.Seq
			}
		}
	}
	for _, o := range r.Outcomes {
		x := models.KadOutcome{ID: o.Contact.ID.Text(c.IDLen()), State: o.State.String(), LifeSeconds: o.Life.Seconds()}
		if o.State == overlay.Refused {
			x.Why = o.Status.String()
		} else if o.Why != x.State {
			x.Why = o.Why
		}
		v.Outcomes = append(v.Outcomes, x)
	}
	return v, nil
}

// keptError returns the error of a put whose value is kept, and published later.
func keptError(err error, key string) error {
	e, ok := errors.AsType[*inspect.Error](verbError(err))
	if !ok {
		return err
	}
	when := " later"
	switch {
	case errors.Is(err, kad.ErrNoPeers):
		when = " when one is"
	case errors.Is(err, kad.ErrIsolated):
		when = " when one does"
	}
	e.Message += "; the value is kept, and published under " + key + when
	return e
}

func publish(ctx context.Context, c *kad.Client, p *models.KadPut) (kad.Report, error) {
	if len(p.Seed) == 0 {
		return c.Put(ctx, p.Value)
	}
	if len(p.Seed) != ed25519.SeedSize {
		return kad.Report{}, &inspect.Error{Code: inspect.CodeBadQuery, Message: "the key that signs has not 32 bytes", Hint: "send the seed of an Ed25519 key"}
	}
	signer := ed25519.NewKeyFromSeed(p.Seed)
	if p.Delete {
		return c.Delete(ctx, signer, p.Salt)
	}
	return c.PutSigned(ctx, signer, kad.Value{Salt: p.Salt, Body: p.Value, TTL: p.TTL})
}

// traceVerb looks for a value, or for the nodes near to an id, and yields each step and the
// end.
func (k *Kad) traceVerb(ctx context.Context, v url.Values) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		c, err := k.named(v)
		var target overlay.ID
		if err == nil {
			target, err = keyOf(c, v, "target")
		}
		if err != nil {
			yield(nil, err)
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		gone := false
		var result kad.LookupResult
		opts := []kad.GetOption{kad.Into(&result), kad.Traced(func(s kad.Step) {
			if gone = gone || !yield(stepModel(c, &s), nil); gone {
				cancel()
			}
		})}
		var record *kad.Record
		if v.Get("find") == "true" {
			_, err = c.Closest(ctx, target, opts...)
		} else {
			record, err = c.Get(ctx, target, opts...)
		}
		switch {
		case gone:
		case err != nil && !errors.Is(err, kad.ErrNotFound):
			yield(nil, verbError(err))
		default:
			yield(endModel(c, &result, record), nil)
		}
	}
}

func stepModel(c *kad.Client, s *kad.Step) models.KadStep {
	h := &models.KadHop{
		AtSeconds: s.At.Seconds(), Hop: s.Hop, Rank: s.Rank, ID: s.Contact.ID.Text(c.IDLen()), Addresses: connectedTo(c, &s.Contact).Addresses,
		State: s.State.String(), TookSeconds: s.Took.Seconds(), Gained: s.Gained, Record: s.Record, BestBefore: s.BestBefore, Best: s.Best,
	}
	return models.KadStep{Step: h}
}

func endModel(c *kad.Client, r *kad.LookupResult, record *kad.Record) models.KadStep {
	e := &models.KadEnd{
		Reason: r.Reason.String(), Hops: r.Hops, Asked: r.Asked, Answers: r.Answers, Failures: r.Failures, Slowed: r.Slowed,
		Bytes: r.Bytes, TookSeconds: r.Took.Seconds(),
	}
	if r.Asked == 0 {
		e.Reason = "held by this node"
	}
	if record != nil {
		v := recordModel(c, record)
		e.Record = &v
		return models.KadStep{End: e}
	}
	for i := range r.Nearest {
		e.Nearest = append(e.Nearest, connectedTo(c, &r.Nearest[i]))
	}
	return models.KadStep{End: e}
}
