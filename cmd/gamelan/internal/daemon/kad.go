package daemon

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

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors/kad"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	dhtkad "github.com/gamelan-p2p/gamelan/dht/kad"
	"github.com/gamelan-p2p/gamelan/dht/kad/put"
	v1 "github.com/gamelan-p2p/gamelan/dht/kad/wire/v1"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// openKad starts the node's client of the key-value DHT, if the settings want one.
func (d *daemon) openKad(ctx context.Context) error {
	settings := d.settings()
	c, wanted := settings.ForKad(api.KadClient)
	if !wanted {
		return nil
	}
	if _, err := d.node.KV().Open(ctx, c); err != nil {
		return failure.Start(fmt.Errorf("key-value DHT: %s", failure.Text(err)))
	}
	return nil
}

// kadActions returns the API's actions on the key-value DHT, by verb. network is that of the
// node's client.
func kadActions(n *gamelan.Node, network string) map[string]inspect.KadAction {
	on := func(do func(context.Context, *kad.Client, url.Values, []byte) (any, error), body int, params ...string) inspect.KadAction {
		return inspect.KadAction{
			Params: append([]string{"client"}, params...), Body: body,
			Do: func(ctx context.Context, v url.Values, b []byte) (any, error) {
				c, err := kadClient(n, v.Get("client"))
				if err != nil {
					return nil, err
				}
				result, err := do(ctx, c, v, b)
				return result, kadError(err)
			},
		}
	}
	return map[string]inspect.KadAction{
		"connect": on(connectIn(n, network), 0, "target"),
		"forget":  on(kadForget, 0, "key"),
		"get":     on(kadGet, 0, "key", "quorum", "max_stale"),
		"put":     on(kadPut, api.MaxKadPut),
		"trace": {Params: []string{"client", "target", "find"}, Stream: func(ctx context.Context, v url.Values) iter.Seq2[any, error] {
			return kadTrace(ctx, n, v)
		}},
	}
}

// kadClient returns the client of this name.
func kadClient(n *gamelan.Node, name string) (*kad.Client, error) {
	c, ok := n.KV().Client(name)
	if !ok {
		return nil, &inspect.Error{
			Code: inspect.CodeFailed, Message: fmt.Sprintf("no client %q of the key-value DHT runs on this node", inspect.Escape(name)),
			Hint: api.NoKadHint + "; gamelan kad status lists the clients",
		}
	}
	return c, nil
}

// kadError returns the error for the client of the API.
func kadError(err error) error {
	var low *kad.SeqTooLowError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kad.ErrNotFound):
		return &inspect.Error{Code: inspect.CodeNoValue, Message: failure.Text(err), Hint: "check the key; a value lives until it expires, unless its publisher publishes it again"}
	case errors.Is(err, kad.ErrNoPeers), errors.Is(err, kad.ErrIsolated):
		message := "no known node answers"
		if errors.Is(err, kad.ErrNoPeers) {
			message = "no other node is known"
		}
		return &inspect.Error{Code: inspect.CodeNoPeers, Message: message, Hint: api.KadConnectHint}
	case errors.As(err, &low):
		return &inspect.Error{Code: inspect.CodeSuperseded, Message: failure.Text(err), Hint: "read it with gamelan kad get, and publish again"}
	}
	if known, ok := errors.AsType[*inspect.Error](err); ok {
		return known
	}
	return networkError(err, "see gamelan kad status")
}

func kadConnect(ctx context.Context, c *kad.Client, v url.Values, _ []byte) (any, error) {
	who, err := c.Connect(ctx, v.Get("target"))
	if err != nil {
		return nil, err
	}
	return connectedTo(c, &who), nil
}

// connectIn is kadConnect that says of a peer in another network, or without the key-value
// DHT, that it is. network is that of the node's client.
func connectIn(n *gamelan.Node, network string) func(context.Context, *kad.Client, url.Values, []byte) (any, error) {
	return func(ctx context.Context, c *kad.Client, v url.Values, b []byte) (any, error) {
		done, err := kadConnect(ctx, c, v, b)
		if err == nil {
			return done, nil
		}
		who, bad := kad.ParseContact(v.Get("target"))
		if bad != nil || who.PublicKey.IsZero() {
			return nil, err
		}
		id, bad := offered(ctx, n, v.Get("target"))
		if bad != nil {
			return nil, err
		}
		conn, bad := n.Dial(ctx, id) // the client does not say why it has no connection
		if bad != nil {
			return nil, dialFailed(v.Get("target"), bad)
		}
		if e := notInNetwork(id, conn.Protocols, network); e != nil {
			return nil, e
		}
		return nil, err
	}
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
		rest, is := strings.CutPrefix(string(id), string(v1.Protocol))
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
			Hint: "start that node with gamelan node --kad (kad.enabled = true), and without --kad-client-only",
		}
	}
	return &inspect.Error{
		Code:    inspect.CodeFailed,
		Message: fmt.Sprintf("the node %s is in another network of the key-value DHT: in %s, and this node in %s", who, strings.Join(others, ", "), named(network)),
		Hint:    "give both nodes the same kad.network (--kad-network)",
	}
}

func connectedTo(c *kad.Client, who *kad.Contact) models.KadConnected {
	v := models.KadConnected{ID: who.ID.Text(c.IDLen()), Addresses: []string{}}
	for _, a := range who.Addresses {
		v.Addresses = append(v.Addresses, string(a))
	}
	return v
}

// kadKey reads a parameter that is a key or an id.
func kadKey(c *kad.Client, v url.Values, name string) (kad.Key, error) {
	key, err := dhtkad.ParseID(v.Get(name), c.IDLen())
	if err != nil {
		return key, &inspect.Error{Code: inspect.CodeBadQuery, Message: failure.Text(err), Hint: "give it in hexadecimal digits"}
	}
	return key, nil
}

func kadForget(ctx context.Context, c *kad.Client, v url.Values, _ []byte) (any, error) {
	key, err := kadKey(c, v, "key")
	if err == nil {
		err = c.Forget(ctx, key)
	}
	if errors.Is(err, kad.ErrNotFound) {
		err = &inspect.Error{Code: inspect.CodeNoValue, Message: "the client does not publish this key", Hint: "gamelan kad status --own lists the keys that it publishes"}
	}
	return models.KadForgotten{Key: key.Text(c.IDLen())}, err
}

func kadGet(ctx context.Context, c *kad.Client, v url.Values, _ []byte) (any, error) {
	key, err := kadKey(c, v, "key")
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

func kadPut(ctx context.Context, c *kad.Client, _ url.Values, body []byte) (any, error) {
	var p api.KadPut
	if err := json.Unmarshal(body, &p); err != nil {
		return nil, &inspect.Error{Code: inspect.CodeBadQuery, Message: "the body is no JSON that says what to publish", Hint: `send {"value":"…"}`}
	}
	r, err := publish(ctx, c, &p)
	var partial *put.PartialError
	switch {
	case err == nil, errors.As(err, &partial):
	case errors.Is(err, kad.ErrNoPeers) && !r.Key.IsZero():
		return nil, &inspect.Error{
			Code: inspect.CodeNoPeers, Message: "no other node is known; the value is kept, and published under " + r.Key.Text(c.IDLen()) + " when one is",
			Hint: api.KadConnectHint,
		}
	default:
		return nil, err
	}
	v := models.KadReport{Key: r.Key.Text(c.IDLen()), Accepted: r.Accepted, Quorum: r.Quorum, Outcomes: []models.KadOutcome{}}
	if err != nil {
		v.Error = failure.Text(err)
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
		if o.State == put.Refused {
			x.Why = o.Status.String()
		} else if o.Why != x.State {
			x.Why = o.Why
		}
		v.Outcomes = append(v.Outcomes, x)
	}
	return v, nil
}

func publish(ctx context.Context, c *kad.Client, p *api.KadPut) (kad.Report, error) {
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

// kadTrace looks for a value, or for the nodes near to an id, and yields each step and the
// end.
func kadTrace(ctx context.Context, n *gamelan.Node, v url.Values) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		c, err := kadClient(n, v.Get("client"))
		var target kad.ID
		if err == nil {
			target, err = kadKey(c, v, "target")
		}
		if err != nil {
			yield(nil, err)
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		gone := false
		var result kad.Found
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
			yield(nil, kadError(err))
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

func endModel(c *kad.Client, r *kad.Found, record *kad.Record) models.KadStep {
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

// kadOf returns sentences on what a peer is to the clients of the key-value DHT.
func kadOf(n *gamelan.Node, peer identity.NodeID) (lines []string) {
	for _, c := range n.KV().Clients() {
		for _, k := range c.Known() {
			if k.Contact.PublicKey.NodeID() != peer {
				continue
			}
			line := fmt.Sprintf("It is a contact of client %s of the key-value DHT: bucket %d, answered at %s", c.Name(), k.Bucket, k.Answered.Local().Format(time.TimeOnly))
			if k.Failures > 0 {
				line += fmt.Sprintf(", and not to the last %s", inspect.Count(uint64(k.Failures), "request"))
			}
			lines = append(lines, line+".")
		}
	}
	return lines
}
