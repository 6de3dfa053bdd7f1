package inspect

import (
	"context"
	"net/http"

	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// HealthReport is the answer of /healthz and /readyz. A degraded node, for instance with
// a user's actor that panics, or one with warnings, for instance about a user's handler
// that blocks, is healthy all the same: a restart would not help.
type HealthReport struct {
	OK       bool           `json:"ok"`
	Reasons  models.Notices `json:"reasons"`  // why it is not OK
	Degraded models.Notices `json:"degraded"` // why it does not work as it should, although it is OK
	Warnings models.Notices `json:"warnings"`
}

func (h *handler) healthz(w http.ResponseWriter, r *http.Request) { h.check(w, r, h.Health) }
func (h *handler) readyz(w http.ResponseWriter, r *http.Request)  { h.check(w, r, h.Ready) }

func (h *handler) check(w http.ResponseWriter, r *http.Request, reasons func(context.Context) models.Notices) {
	if q := newQuery(r); q.err != nil {
		fail(w, q.err)
		return
	}
	a := HealthReport{OK: true, Reasons: models.Notices{}, Degraded: models.Notices{}, Warnings: models.Notices{}}
	if reasons != nil {
		a.Reasons = append(a.Reasons, reasons(r.Context())...)
	}
	if h.Degraded != nil {
		a.Degraded = append(a.Degraded, h.Degraded(r.Context())...)
	}
	for _, x := range h.now().actors {
		switch x.State {
		case Stuck:
			a.Warnings = append(a.Warnings, codes.ActorStuck.Notice(x.ID+" is stuck in "+Escape(x.inHand()), x.ID))
		case Failed:
			a.Warnings = append(a.Warnings, codes.ActorFailed.Notice(x.ID+" has failed", x.ID))
		}
	}
	status := http.StatusOK
	if len(a.Reasons) > 0 {
		a.OK, status = false, http.StatusServiceUnavailable
	}
	replyStatus(w, status, a)
}

func (a *Actor) inHand() string {
	if a.Current == nil {
		return "no message"
	}
	return a.Current.MessageType
}
