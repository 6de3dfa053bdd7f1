package inspect

import (
	"context"
	"net/http"

	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// HealthReport is the answer of /healthz and /readyz. For /healthz a degraded node is OK, for instance
// one that is offline or whose user's actor panics: a restart would not help. For /readyz it is not
// OK. Either answer has the status 503 if it is not OK.
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
	for _, x := range h.now().actors {
		switch x.State {
		case Stuck:
			a.Warnings = append(a.Warnings, codes.ActorStuck.Notice(x.ID+" is stuck in "+Escape(x.inHand()), x.ID))
		case Failed:
			a.Warnings = append(a.Warnings, codes.ActorFailed.Notice(x.ID+" has failed", x.ID))
		}
	}
	a.OK = a.State != models.HealthFailed && !(strict && a.State == models.HealthDegraded)
	status := http.StatusOK
	if !a.OK {
		status = http.StatusServiceUnavailable
	}
	replyStatus(w, status, a)
}

func (a *Actor) inHand() string {
	if a.Current == nil {
		return "no message"
	}
	return a.Current.MessageType
}
