package inboxpart

import (
	"context"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
)

const (
	// shelfTimeout is how long the keeper may take to answer for the section.
	shelfTimeout = 2 * time.Second
	// shelfMost is how many messages of the shelf the section shows.
	shelfMost = 1000
	// shelfText is how many bytes of a body it shows.
	shelfText = 80
)

// hintShelf is what to do when the shelf cannot be read or changed.
const hintShelf = "look at the node; try it again when its inbox works"

// shelfSection returns the section "inbox". It takes at most 2 s.
func (b *Inbox) shelfSection(ctx context.Context) models.InboxShelf {
	ctx, cancel := context.WithTimeout(ctx, shelfTimeout)
	defer cancel()
	v := models.InboxShelf{Inbox: *b.section(), Shelf: []models.ShelfMessage{}}
	if v.Dead == 0 {
		return v
	}
	for m, err := range b.Dead(ctx) {
		if err != nil || len(v.Shelf) == shelfMost {
			break
		}
		x := models.ShelfMessage{Seq: m.Seq, At: m.At, Peer: m.Peer.String(), Attempts: m.Attempt, Bytes: len(m.Body)}
		if !inspect.Withheld(ctx) {
			x.Text = string(m.Body[:min(len(m.Body), shelfText)])
		}
		if !m.From.IsZero() {
			x.From = m.From.String()
		}
		v.Shelf = append(v.Shelf, x)
	}
	return v
}

// verbs returns the verbs of the section "inbox".
func (b *Inbox) verbs() map[string]map[string]inspect.Verb {
	on := func(do func(context.Context, ...uint64) (int, error)) inspect.Verb {
		return inspect.Verb{Params: []string{"seqs", "all"}, Do: func(ctx context.Context, v url.Values, _ []byte) (any, error) {
			seqs, err := seqsOf(v)
			if err != nil {
				return nil, err
			}
			n, err := do(ctx, seqs...)
			if err != nil {
				return nil, trunk.VerbError(err, hintShelf)
			}
			return models.ShelfTaken{Messages: n}, nil
		}}
	}
	return map[string]map[string]inspect.Verb{"inbox": {"retry": on(b.Retry), "drop": on(b.Drop)}}
}

// seqsOf returns the numbers of messages, separated by commas; none are all.
func seqsOf(v url.Values) (seqs []uint64, err error) {
	named, all := v.Get("seqs"), v.Get("all") == "true"
	if (named == "") != all {
		return nil, &inspect.Error{Code: inspect.CodeBadQuery, Message: "no message is named", Hint: "give either seqs=1,2 or all=true"}
	}
	if all {
		return nil, nil
	}
	for text := range strings.SplitSeq(named, ",") {
		seq, err := strconv.ParseUint(text, 10, 64)
		if err != nil || seq == 0 {
			return nil, &inspect.Error{Code: inspect.CodeBadQuery, Message: strconv.Quote(text) + " is no number of a message", Hint: "the section inbox lists the messages on the shelf with their numbers"}
		}
		seqs = append(seqs, seq)
	}
	return seqs, nil
}
