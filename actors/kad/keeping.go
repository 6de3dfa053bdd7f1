package kad

import (
	"context"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/kad/upkeep"
)

// contactsToKeep returns the contacts in the form that a [Keeper] takes. Until this node has
// joined, these are also the ones that were kept before: none of them may be reachable now, as
// on a machine that has started without a network.
func (x *core) contactsToKeep() (contacts []KeptContact, former []KeptFormer) {
	now, wall := x.host.Now(), x.host.Wall()
	onWall := func(t time.Time) time.Time {
		if t.IsZero() {
			return t
		}
		return wall.Add(t.Sub(now))
	}
	v := x.view.Load()
	for i := range v.Buckets() {
		for _, e := range v.Bucket(i) {
			contacts = append(contacts, KeptContact{
				Contact: e.Contact, Since: onWall(e.Since), Answered: onWall(e.Answered), Score: e.Score, RTT: e.RTT,
			})
		}
	}
	if kept := x.kept.Load(); kept != nil && !x.joined.Load() {
		live := make(map[ID]bool, len(contacts))
		for i := range contacts {
			live[contacts[i].Contact.ID] = true
		}
		for _, k := range kept.Contacts {
			if !live[k.Contact.ID] && wall.Sub(k.Answered) < keptFor {
				contacts = append(contacts, k)
			}
		}
	}
	if f := x.former.Load(); f != nil {
		for _, o := range *f {
			former = append(former, KeptFormer{Contact: o.Contact, Lost: onWall(o.Lost), Rest: onWall(o.Rest), Failures: o.Failures})
		}
	}
	return contacts, former
}

// formerOf is the reverse of contactsToKeep for former contacts.
func formerOf(kept []KeptFormer, now, wall time.Time) (list []upkeep.Former) {
	onNow := func(t time.Time) time.Time {
		if t.IsZero() {
			return t
		}
		return now.Add(t.Sub(wall))
	}
	for _, k := range kept {
		list = append(list, upkeep.Former{Contact: k.Contact, Lost: onNow(k.Lost), Rest: onNow(k.Rest), Failures: k.Failures})
	}
	return list
}

// keepContacts returns a task that writes contacts.
func keepContacts(k Keeper, contacts []KeptContact, former []KeptFormer) func(context.Context) (tableSaved, error) {
	return func(ctx context.Context) (tableSaved, error) {
		return tableSaved{}, k.SaveContacts(ctx, contacts, former)
	}
}
