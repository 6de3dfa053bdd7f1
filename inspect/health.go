package inspect

import (
	"context"
	"net/http"
	"slices"

	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// HealthReport is the answer of /healthz and /readyz. For /healthz a degraded node is OK, for instance
// one that is offline or whose user's actor panics: a restart would not help. For /readyz it is not
// OK, unless it is a node that listens and has too few peers: they can come. Either answer has the status 503 if it is not OK.
type HealthReport struct {
	OK       bool               `json:"ok"`
	State    models.HealthState `json:"state"`
	Reasons  models.Notices     `json:"reasons"`  // why it has failed
	Degraded models.Notices     `json:"degraded"` // why it does not work as it should, the cause first
	Warnings models.Notices     `json:"warnings"` // what else somebody should know
}

func (h *handler) healthz(w http.ResponseWriter, r *http.Request) { h.check(w, r, h.Health, false) }
func (h *handler) readyz(w http.ResponseWriter, r *http.Request)  { h.check(w, r, h.Ready, true) }

func (h *handler) check(w http.ResponseWriter, r *http.Request, reasons func(context.Context) models.Notices, strict bool) {
	if q := newQuery(r); q.err != nil {
		fail(w, q.err)
		return
	}
	ask := func(what func(context.Context) models.Notices) models.Notices {
		list := models.Notices{}
		if what != nil {
			list = append(list, what(r.Context())...)
		}
		return list
	}
	a := HealthReport{Reasons: ask(reasons), Degraded: ask(h.Degraded), Warnings: ask(h.Warnings)}
	a.State = models.StateOf(a.Reasons, a.Degraded)
	a.Warnings = append(a.Warnings, stopped(h.now().actors, append(slices.Clone(a.Degraded), a.Warnings...))...)
	a.OK = a.State != models.HealthFailed && !(strict && h.unready(a.Degraded))
	status := http.StatusOK
	if !a.OK {
		status = http.StatusServiceUnavailable
	}
	replyStatus(w, status, a)
}

// stopped returns the warnings about actors that have failed or are stuck, unless the node itself has told them.
func stopped(actors []Actor, told models.Notices) (list models.Notices) {
	is := func(c *codes.Code) bool {
		return slices.ContainsFunc(told, func(n models.Notice) bool { return n.Code == c.Name })
	}
	stuck, failed := is(codes.ActorStuck), is(codes.ActorFailed)
	for _, x := range actors {
		switch {
		case x.State == Stuck && !stuck:
			list = append(list, codes.ActorStuck.Notice(x.ID+" is stuck in "+Escape(x.inHand()), x.ID))
		case x.State == Failed && !failed:
			list = append(list, codes.ActorFailed.Notice(x.ID+" has failed", x.ID))
		}
	}
	return list
}

// unready reports whether a node that is degraded by this takes no work. One to which others connect does when it is connected
// to nobody, or to too few: a load balancer that sent nobody to it would keep it so.
func (h *handler) unready(degraded models.Notices) bool {
	waits := h.Listens != nil && h.Listens()
	for _, n := range degraded {
		if !waits || n.Code != codes.Offline.Name && n.Code != codes.FewNodes.Name {
			return true
		}
	}
	return false
}

func (a *Actor) inHand() string {
	if a.Current == nil {
		return "no message"
	}
	return a.Current.MessageType
}
