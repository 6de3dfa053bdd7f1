package doctorpart

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/internal/protocol/why"
	"github.com/gamelan-p2p/gamelan/internal/transport/upgrade"
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
		list = append(list, x.found(f))
	}
	if len(list) == 0 {
		return nil, x.step(agrees(ours, theirs))
	}
	return list, x.step(models.Checked{Step: stepBothEnds, State: models.CheckNote, What: "what both remember does not agree, or says what was wrong: see below"})
}

// agrees returns what is said when nothing was found. Dials that have failed may be older than what the other end
// remembers, may have got through since, or have failed for a reason that the other end cannot see.
func agrees(ours, theirs why.Answer) models.Checked {
	missed := func(a why.Answer, who, whom string) (text string) {
		if r, ok := a.Missed(); ok {
			text = fmt.Sprintf("; %s has dialled %s %s in vain, the last time %s ago", who, whom, inspect.Count(uint64(r.Count), "time"), words.Long(r.Last))
		}
		return text
	}
	what := missed(ours, "this node", "it") + missed(theirs, "it says that it", "this node")
	if what == "" {
		return models.Checked{Step: stepBothEnds, State: models.CheckOK, What: "what both remember agrees: no connection was refused, or lost on the way"}
	}
	return models.Checked{Step: stepBothEnds, State: models.CheckNote, What: "nothing that both remember contradicts" + what + ". It remembers the last " + words.Long(theirs.Since)}
}

// found returns what a finding says. What a peer tells is said to be its words, and is shown only as far as
// this node knows them.
func (x *examination) found(f why.Finding) models.Notice {
	last := "the last " + words.Long(f.Last) + " ago"
	code, because := reason(f.Code, f.Detail)
	connections := inspect.Count(uint64(f.Count), "connection")
	switch f.Verdict {
	case why.Unseen:
		return codes.DialUnseen.Notice(fmt.Sprintf("this node has dialled it %s%s without an answer, %s, and it has not seen these connections: something on the way drops them", dialled(f), where(f), last), f.Address.String())
	case why.UnseenHere:
		claim, _ := x.d.trunk.Claim()
		if !slices.ContainsFunc(claim.Addresses, func(own []byte) bool { return bytes.Equal(own, f.Address.Bytes()) }) {
			f.Address = nil // nobody shall have it show any address
		}
		return codes.DialUnseenHere.Notice(fmt.Sprintf("it says that it has dialled this node %s%s without an answer, %s, and this node has not seen these connections: something on the way drops them", dialled(f), where(f), last), f.Address.String())
	case why.RefusedThere:
		return codes.RefusedThere.Notice(fmt.Sprintf("it says that it has refused %s of this node, or of its IP address (IPv6: its /64), %s: %s", connections, last, because), code)
	case why.RefusedHere:
		return codes.RefusedHere.Notice(fmt.Sprintf("this node has refused %s of it, or of its IP address (IPv6: its /64), %s: %s", connections, last, because), code)
	default:
		return codes.EndedThere.Notice(fmt.Sprintf("it says that it has ended %s with this node, %s: %s", connections, last, because), code)
	}
}

func dialled(f why.Finding) string { return inspect.Count(uint64(f.Count), "time") }

func where(f why.Finding) string {
	if f.Address == nil {
		return ""
	}
	return " at " + address.Short(f.Address)
}

// reasons says in words why a connection was ended, by the code on the wire. Those of refused ones are why.Texts.
var reasons = map[string]string{
	actors.CloseUnlisted: "only listed peers are admitted", actors.CloseSecret: "its secret was given up", actors.CloseViolation: "a rule was broken",
	actors.CloseNoAnswer: "no answer to its pings", actors.CloseStalled: "nothing was read for too long", actors.ClosePanics: "messages made it panic",
	actors.CloseBlamed: "its program has blamed this peer", actors.CloseChurn: "too many substreams without a protocol", actors.CloseCrashed: "a part of it has failed",
}

// limitText is how the detail of a limit looks.
var limitText = regexp.MustCompile(`^[a-z0-9_.]+ is [0-9]+$`)

// stages are the stages of a set-up.
var stages = []string{string(upgrade.StageWire), string(upgrade.StageNoise), string(upgrade.StageKey), string(upgrade.StageIdentity), string(upgrade.StageMux)}

// reason returns the code of a reason, or "other", and what it says.
func reason(code, detail string) (known, text string) {
	text, ok := why.Texts[code]
	if !ok {
		text, ok = reasons[code]
	}
	switch {
	case !ok:
		return "other", "for a reason that this release does not know"
	case code == why.CodeLimit && limitText.MatchString(detail), code == why.CodeSetup && slices.Contains(stages, detail):
		text += ", " + detail
	}
	return code, text
}
