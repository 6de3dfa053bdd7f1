package inboxpart

import (
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// An inbox degrades its node while it cannot be written or read, while it is full, and while it is
// fuller than it may be.
func TestInboxDegrades(t *testing.T) {
	for _, c := range []struct {
		inbox             *models.Inbox
		degraded, warning string
	}{
		{&models.Inbox{Messages: 1, MaxMessages: 10, MaxBytes: 1000}, "", ""},
		{&models.Inbox{Messages: 8, MaxMessages: 10, MaxBytes: 1000}, "", ""},
		{&models.Inbox{Messages: 81, MaxMessages: 100, MaxBytes: 1000}, "81% full", ""},
		{&models.Inbox{Messages: 7, DHTMessages: 1, MaxMessages: 10, MaxBytes: 1000, MaxMessagesOfKind: 7}, "86% full", ""},
		{&models.Inbox{Messages: 7, MaxMessages: 100, MaxBytes: 1000, DHTBytes: 630, MaxBytesOfKind: 750}, "84% full", ""},
		{&models.Inbox{Messages: 7, MaxMessages: 100, MaxBytes: 1000, Dropped: 2}, "", "2 messages over the DHT were dropped"},
		{&models.Inbox{Messages: 10, MaxMessages: 10, MaxBytes: 1000, Full: true}, "the inbox is full, with 10 messages of connected peers, whose senders wait; acknowledge", ""},
		{&models.Inbox{Messages: 1, MaxMessages: 10, MaxBytes: 1000, Trouble: "no space left"}, "cannot be written or read, and messages wait: no space left", ""},
	} {
		for what, got := range map[string][2]string{
			"degraded": {strings.Join(degraded(c.inbox, 80).Texts(), "; "), c.degraded},
			"warnings": {strings.Join(warnings(c.inbox).Texts(), "; "), c.warning},
		} {
			if got[1] == "" && got[0] != "" || !strings.Contains(got[0], got[1]) {
				t.Errorf("%+v: got %s %q, want %q", c.inbox, what, got[0], got[1])
			}
		}
	}
}
