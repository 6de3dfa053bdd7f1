package kad

import (
	"time"

	"github.com/gamelan-p2p/gamelan/internal/kad/upkeep"
)

// waits reports whether it is not known yet if a contact of an earlier run can be reached. None
// of them may be reachable now, as on a machine that has started without a network.
func (x *core) waits(k KeptContact, wall time.Time) bool {
	waiting := x.unjudged.Load()
	return wall.Sub(k.Answered) < keptFor && (waiting == nil || (*waiting)[k.Contact.ID])
}

func idsOf(list []Contact) *map[ID]bool {
	ids := make(map[ID]bool, len(list))
	for i := range list {
		ids[list[i].ID] = true
	}
	return &ids
}

// contactsToKeep returns the contacts in the form that a [Keeper] takes. These are also the
// ones that were kept before and wait to be judged.
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
	if kept := x.kept.Load(); kept != nil {
		live := make(map[ID]bool, len(contacts))
		for i := range contacts {
			live[contacts[i].Contact.ID] = true
		}
		for _, k := range kept.Contacts {
			if !live[k.Contact.ID] && x.waits(k, wall) {
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
