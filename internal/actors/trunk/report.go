package trunk

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/words"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Report converts a report of this node to the form that the API uses, with its times on the
// system's clock.
func (t Trunk) Report(r dht.Report) models.Report {
	r.Begin, r.End, r.Copies = t.OnWall(r.Begin), t.OnWall(r.End), slices.Clone(r.Copies)
	for i := range r.Copies {
		r.Copies[i].At = t.OnWall(r.Copies[i].At)
	}
	return describeReport(r)
}

// describeReport converts a report to the form that the API uses. It does not change the
// times.
func describeReport(r dht.Report) models.Report {
	v := models.Report{
		Tag: fmt.Sprintf("%016x", r.Tag), To: r.To, Type: r.Type, Encrypted: r.Encrypted, Size: r.Size, ToStore: r.ToStore,
		Begin: r.Begin, End: r.End, Copies: []models.Copy{},
	}
	if !r.Destination.IsZero() {
		v.Destination, v.DestinationID = r.Destination.String(), r.Destination.NodeID().String()
	}
	if r.Reason != 0 {
		v.Reason, v.Detail = r.Reason.String(), words.Sentence(r.Err)
	}
	for _, c := range r.Copies {
		v.Copies = append(v.Copies, models.Copy{Peer: c.Peer.String(), Outcome: DescribeOutcome(c.Outcome), Tries: c.Tries, At: c.At})
	}
	v.Summary = reportSummary(&r, &v)
	return v
}

// reportSummary returns the text of [dht.Report.String], with errors as sentences.
func reportSummary(r *dht.Report, v *models.Report) string {
	switch {
	case v.Reason != "":
		return phrase(models.OutcomeFailed, v.Reason, v.Detail)
	case len(v.Copies) == 1 && r.Open() == 0 && !r.ToStore:
		return phrase(r.Copies[0].Outcome.Kind.String(), v.Copies[0].Reason, v.Copies[0].Detail)
	}
	return r.String()
}

func phrase(all ...string) string {
	return strings.Join(slices.DeleteFunc(all, func(s string) bool { return s == "" }), ": ")
}

// DescribeOutcome converts an outcome to the form that the API uses.
func DescribeOutcome(o protocol.Outcome) models.Outcome {
	v := models.Outcome{Outcome: models.OutcomeOpen, Reason: o.Reason.String(), Detail: words.Sentence(o.Err)}
	if c := CauseOf(o.Err); c != nil {
		v.Code = c.Name
	}
	switch o.Kind {
	case protocol.Confirmed:
		v.Outcome = models.OutcomeConfirmed
	case protocol.InDoubt:
		v.Outcome = models.OutcomeInDoubt
	case protocol.Failed:
		v.Outcome = models.OutcomeFailed
	}
	return v
}
