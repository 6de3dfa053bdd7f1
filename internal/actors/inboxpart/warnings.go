package inboxpart

import (
	"fmt"
	"strconv"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// degraded returns the reasons why the node is degraded because of its inbox. high is the level, in
// percent of its limits, above which it is nearly full.
func degraded(v *models.Inbox, high int) (list models.Notices) {
	if v.Trouble != "" {
		list = append(list, codes.InboxFailed.Notice("the inbox cannot be written or read, and messages wait: "+v.Trouble))
	}
	if v.Full {
		list = append(list, full(v))
	}
	if level := 100 * v.Level(); !v.Full && level > float64(high) {
		list = append(list, codes.InboxHigh.Notice(fmt.Sprintf("the inbox is %.0f%% full, with %s messages", level, inspect.Number(uint64(v.Messages))), strconv.Itoa(int(level))))
	}
	return list
}

// warnings returns further warnings about the inbox for the operator.
func warnings(v *models.Inbox) (list models.Notices) {
	if v.Dropped > 0 {
		were := "were"
		if v.Dropped == 1 {
			were = "was"
		}
		list = append(list, codes.InboxDropped.Notice(fmt.Sprintf("%s over the DHT %s dropped since the start because the inbox had no room for more of their peer or author",
			inspect.Count(v.Dropped, "message"), were)))
	}
	if v.Dead > 0 {
		list = append(list, codes.InboxShelf.Notice(inspect.Count(uint64(v.Dead), "message")+" of the inbox could not be handled, and "+be(v.Dead)+" on the shelf"))
	}
	if v.Damaged > 0 {
		list = append(list, codes.InboxDamaged.Notice(inspect.Count(uint64(v.Damaged), "record")+" of the inbox could not be read and were left as they are"))
	}
	return list
}

func full(v *models.Inbox) models.Notice {
	over := ""
	if v.DHTMessages > 0 {
		over = ", and " + inspect.Number(uint64(v.DHTMessages)) + " over the DHT"
	}
	return codes.InboxFull.Notice(fmt.Sprintf("the inbox is full, with %s of connected peers, whose senders wait%s",
		inspect.Count(uint64(v.Messages-v.DHTMessages), "message"), over))
}

func be(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}
