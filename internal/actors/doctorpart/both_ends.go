package doctorpart

import (
	"context"
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/internal/protocol/why"
	"github.com/gamelan-p2p/gamelan/internal/words"
)

// askLimit is how long a peer may take to tell what it remembers.
const askLimit = 5 * time.Second

// bothEnds joins what this node and a connected peer remember of their connections.
func (x *examination) bothEnds(ref *actors.ConnRef) (models.Notices, error) {
	if x.d.Ask == nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(x.ctx, askLimit)
	defer cancel()
	ours, theirs, err := x.d.Ask(ctx, ref)
	if err != nil {
		return nil, x.step(models.Checked{Step: stepBothEnds, State: models.CheckNote, What: "what the peer remembers is not known: " + words.Cause(err)})
	}
	var list models.Notices
	for _, f := range why.Join(ours, theirs) {
		list = append(list, found(f))
	}
	if len(list) == 0 {
		return nil, x.step(models.Checked{Step: stepBothEnds, State: models.CheckOK, What: "what both remember agrees: no connection was refused, or lost on the way"})
	}
	for i := range list {
		if err := x.step(models.Checked{Step: stepBothEnds, State: models.CheckNote, What: list[i].What, Notice: &list[i]}); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// found returns what a finding says.
func found(f why.Finding) models.Notice {
	times := inspect.Count(uint64(f.Count), "time")
	last := "the last " + words.Long(f.Last) + " ago"
	at := ""
	if f.Address != nil {
		at = " at " + address.Short(f.Address)
	}
	because := f.Code
	if text := refusals[f.Code]; text != "" {
		because = text
	}
	if f.Detail != "" {
		because += ", " + f.Detail
	}
	switch f.Verdict {
	case why.Unseen:
		return codes.DialUnseen.Notice(fmt.Sprintf("this node has dialled it %s%s without success, %s, and it has not seen these connections: something on the way drops them", times, at, last), f.Address.String())
	case why.UnseenHere:
		return codes.DialUnseenHere.Notice(fmt.Sprintf("it has dialled this node %s%s without success, %s, and this node has not seen these connections: something on the way drops them", times, at, last), f.Address.String())
	case why.RefusedThere:
		return codes.RefusedThere.Notice(fmt.Sprintf("it has refused %s of this node, or of its IP address, %s: %s", inspect.Count(uint64(f.Count), "connection"), last, because), f.Code)
	case why.RefusedHere:
		return codes.RefusedHere.Notice(fmt.Sprintf("this node has refused %s of it, or of its IP address, %s: %s", inspect.Count(uint64(f.Count), "connection"), last, because), f.Code)
	default:
		return codes.EndedThere.Notice(fmt.Sprintf("it has ended %s with this node, %s: %s", inspect.Count(uint64(f.Count), "connection"), last, because), f.Code)
	}
}

// refusals says in words why a connection was refused, by the code on the wire.
var refusals = map[string]string{
	why.CodeLimit:    "too many connections",
	why.CodeBanned:   "banned",
	why.CodeUnlisted: "only listed peers are admitted",
	why.CodeSecret:   "without the secret of the private network",
	why.CodeNetwork:  "of another network",
	why.CodeSetup:    "the set-up has failed",
}
