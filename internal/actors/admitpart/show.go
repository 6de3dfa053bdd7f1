package admitpart

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/config"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/transport/connpool"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport"
)

// told is how long a refusal is shown.
const told = 10 * time.Minute

func (a *Admission) sections() map[string]func(context.Context) any {
	return map[string]func(context.Context) any{name: func(context.Context) any { return a.Section() }}
}

// mode is the value of the setting.
func (a *Admission) mode() string {
	if a.Only {
		return config.AdmitListed
	}
	return config.AdmitAnyone
}

// Section returns the section "admission".
func (a *Admission) Section() models.Admission {
	refused := a.trunk.NotAdmitted(a.trunk.Now().Add(-told))
	v := models.Admission{Admit: a.mode(), Program: a.Ask != nil, Listed: a.peers(), Refused: a.refused(refused.Last), RefusedTotal: refused.Total}
	profile := a.trunk.Profile()
	if profile.Private != "" {
		without := a.trunk.NoSecret(a.trunk.Now().Add(-told))
		p := &models.PrivateNetwork{Name: profile.Private, Secret: profile.Secret.Digits(), Accept: profile.Accept.Digits(), WithoutSecret: a.refused(without.Last), WithoutSecretTotal: without.Total}
		for _, l := range a.trunk.Latecomers() {
			p.Latecomers = append(p.Latecomers, models.Latecomer{NodeID: l.Peer.String(), At: a.trunk.OnWall(l.At), Connected: l.Connected, Earlier: l.Earlier})
		}
		v.Private = p
	}
	v.Summary = a.summary(&v)
	return v
}

func (a *Admission) summary(v *models.Admission) string {
	s := "The node has connections with anyone in its network"
	if v.Private != nil {
		s = "The node has connections with anyone who has the secret of " + v.Private.Name
	}
	if a.Only {
		s = "The node has connections with " + inspect.Count(uint64(len(v.Listed)), "listed peer") + " alone"
	}
	if v.Program {
		s += ", and asks its program about each"
	}
	return s
}

// peers returns who is listed, in the order of their keys.
func (a *Admission) peers() []models.AdmittedPeer {
	all := []models.AdmittedPeer{}
	add := func(key identity.PublicKey, since time.Time) {
		id := key.NodeID()
		_, connected := a.trunk.Connection(id)
		all = append(all, models.AdmittedPeer{PublicKey: key.String(), NodeID: id.String(), Since: since, Connected: connected})
	}
	for key, since := range a.listed.All() {
		add(key, since)
	}
	for key := range a.seeds.All() {
		if _, ok := a.listed.Get(key); !ok && key != a.trunk.Key() {
			add(key, time.Time{})
		}
	}
	slices.SortFunc(all, func(x, y models.AdmittedPeer) int { return cmp.Compare(x.PublicKey, y.PublicKey) })
	return all
}

func (a *Admission) refused(last []connpool.Knock) []models.RefusedPeer {
	all := []models.RefusedPeer{}
	for _, k := range last {
		r := models.RefusedPeer{Source: connections.SourceText(k.Source), Times: k.Times, LastAt: a.trunk.OnWall(k.Last)}
		if !k.Key.IsZero() {
			if a.Listed(k.Key) == nil && a.Ask == nil { // it was listed since
				continue
			}
			r.PublicKey = k.Key.String()
		}
		all = append(all, r)
	}
	return all
}

// warnings names the last who was refused; it may be a machine of the operator's own.
func (a *Admission) warnings() (list models.Notices) {
	v := a.Section()
	ago := func(at time.Time) string { return a.trunk.OnWall(a.trunk.Now()).Sub(at).Round(time.Second).String() }
	if len(v.Refused) > 0 {
		r := v.Refused[0]
		list = append(list, codes.NotAdmitted.Notice(fmt.Sprintf("%s from %s was refused, the last time %s ago: it is not admitted%s",
			cmp.Or(r.PublicKey, "a peer"), r.Source, ago(r.LastAt), andOthers(len(v.Refused), "other")), r.PublicKey, r.Source))
	}
	var without []models.RefusedPeer
	if v.Private != nil {
		without = slices.DeleteFunc(slices.Clone(v.Private.WithoutSecret), a.isBack)
	}
	if len(without) > 0 {
		r := without[0]
		list = append(list, codes.NoSecret.Notice(fmt.Sprintf("a dialer from %s has not the secret of %s: it was refused %s, the last time %s ago%s",
			r.Source, v.Private.Name, inspect.Count(r.Times, "time"), ago(r.LastAt), andOthers(len(without), "more source")), r.Source, v.Private.Name))
	}
	return list
}

// isBack reports whether a connection from where a dialer was refused was set up since, with the secret.
func (a *Admission) isBack(r models.RefusedPeer) bool {
	for _, ref := range a.trunk.Connections().All() {
		source, ok := transport.Source(ref.Remote())
		if ok && ref.Direction == protocol.Inbound && connections.SourceText(source) == r.Source && a.trunk.OnWall(ref.Since).After(r.LastAt) {
			return true
		}
	}
	return false
}

func andOthers(n int, what string) string {
	switch n -= 1; {
	case n < 1:
		return ""
	case n == 1:
		return "; and so was 1 " + what
	}
	return "; and so were " + inspect.Count(uint64(n), what)
}

// HintKey is the hint of a text that is no public key.
const HintKey = "give the public key of the other node, 64 hexadecimal digits"

func (a *Admission) verbs() map[string]map[string]inspect.Verb {
	verb := func(off bool) inspect.Verb {
		return inspect.Verb{Params: []string{"key"}, Do: func(_ context.Context, v url.Values, _ []byte) (any, error) {
			key, err := identity.ParsePublicKey(v.Get("key"))
			if err != nil {
				return nil, &inspect.Error{Code: inspect.CodeBadQuery, Message: fmt.Sprintf("%q is no public key", inspect.Escape(v.Get("key"))), Hint: HintKey}
			}
			if err := a.Change(key, off); err != nil {
				return nil, trunk.VerbError(err, "see /v1/admission for the list")
			}
			return models.Admitted{PublicKey: key.String(), NodeID: key.NodeID().String(), Admit: a.mode()}, nil
		}}
	}
	return map[string]map[string]inspect.Verb{name: {"admit": verb(false), "unadmit": verb(true)}}
}

// Keys returns who is listed, without the seeds of the settings, in order.
func (a *Admission) Keys() []identity.PublicKey {
	var keys []identity.PublicKey
	for key := range a.listed.All() {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(x, y identity.PublicKey) int { return bytes.Compare(x[:], y[:]) })
	return keys
}
