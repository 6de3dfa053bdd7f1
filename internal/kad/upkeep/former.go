package upkeep

import (
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/backoff"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// Numbers of former contacts.
//
// spec: kad B4.9
const (
	formerMax     = 100
	formerAfter   = 10 * time.Minute   // of life in the table
	formerFor     = 7 * 24 * time.Hour // then it is forgotten
	formerEvery   = time.Minute
	formerAtOnce  = 2
	formerRestMax = 6 * time.Hour
	othersEvery   = 30 * time.Minute
	othersAtOnce  = 2
)

// Former is a contact that was lost. Without such contacts the halves of a network that was
// cut in two would never meet again.
type Former struct {
	Contact  overlay.Contact
	Lost     time.Time
	Failures int       // of probes since
	Rest     time.Time // it is not probed before
}

type former struct {
	list         []Former // oldest first
	addresses    []overlay.Address
	tick, others time.Time
}

// Former returns the contacts that were lost, oldest first, to be persisted.
func (m *Machine) Former() []Former { return slices.Clone(m.former.list) }

// begin takes in the former contacts of an earlier run. Their times may be of a clock that was
// ahead: who was lost in the future is lost now, and who rests longer than anybody may rests
// no more. Otherwise such a contact would be neither probed nor forgotten.
func (f *former) begin(now time.Time, list []Former) {
	f.list = slices.Clone(list[max(len(list)-formerMax, 0):])
	for i := range f.list {
		x := &f.list[i]
		if x.Lost.After(now) {
			x.Lost = now
		}
		if x.Rest.Sub(now) > formerRestMax {
			x.Rest = now
		}
	}
	f.tick, f.others = now.Add(formerEvery), now.Add(othersEvery)
}

func (f *former) add(now time.Time, c overlay.Contact) {
	f.forget(c.ID)
	if len(f.list) >= formerMax {
		f.list = slices.Delete(f.list, 0, 1)
	}
	f.list = append(f.list, Former{Contact: c, Lost: now})
}

func (f *former) forget(id overlay.ID) {
	f.list = slices.DeleteFunc(f.list, func(x Former) bool { return x.Contact.ID == id })
}

// probed takes in the end of a probe. Who answers is a former contact no more.
func (f *former) probed(now time.Time, e Probed) {
	at := slices.IndexFunc(f.list, func(x Former) bool { return same(x.Contact, e.Contact) })
	switch {
	case at < 0:
	case e.Answered:
		f.list = slices.Delete(f.list, at, at+1)
	default:
		x := &f.list[at]
		x.Failures++
		x.Rest = now.Add(backoff.Doubled(x.Failures+1, formerEvery, formerRestMax))
	}
}

// revisit probes some former contacts and some of an earlier run each minute, and some bootstrap addresses each half
// hour, however well the node does.
func (m *Machine) revisit(now time.Time) {
	f := &m.former
	if !f.tick.After(now) {
		f.tick = now.Add(formerEvery)
		f.list = slices.DeleteFunc(f.list, func(x Former) bool { return now.Sub(x.Lost) > formerFor })
		var ready []int
		for i := range f.list {
			if !f.list[i].Rest.After(now) {
				ready = append(ready, i)
			}
		}
		m.o.Rand.Shuffle(len(ready), func(i, j int) { ready[i], ready[j] = ready[j], ready[i] })
		for _, i := range ready[:min(len(ready), formerAtOnce)] {
			m.do(Probe{f.list[i].Contact, ForFormer})
		}
		if p := m.boot.persisted; m.state == overlay.Ready {
			m.o.Rand.Shuffle(len(p), func(i, j int) { p[i], p[j] = p[j], p[i] })
			for _, c := range p[:min(len(p), persistedAtOnce)] {
				m.do(Probe{c, ForPersisted})
			}
		}
	}
	if !f.others.After(now) {
		f.others = now.Add(othersEvery)
		for i, at := range m.o.Rand.Perm(len(f.addresses)) {
			if i >= othersAtOnce {
				break
			}
			m.do(Probe{overlay.Contact{Addresses: f.addresses[at : at+1]}, ForOthers})
		}
	}
}

// next returns when there is something to probe; more says that contacts of an earlier run wait.
func (f *former) next(more bool) time.Time {
	switch {
	case (more || len(f.list) > 0) && (len(f.addresses) == 0 || f.tick.Before(f.others)):
		return f.tick
	case len(f.addresses) > 0:
		return f.others
	}
	return time.Time{}
}
