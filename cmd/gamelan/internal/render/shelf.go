package render

import (
	"fmt"
	"strconv"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// shelfColumn is how wide the beginning of a message is.
const shelfColumn = 40

// Shelf writes the messages on the shelf of an inbox.
func Shelf(o *Output, v *models.InboxShelf, now time.Time) error {
	if len(v.Shelf) == 0 {
		_, err := fmt.Fprintln(o.Out, "nothing is on the shelf: gamelan status says how full the inbox is")
		return err
	}
	rows := [][]string{{"SEQ", "CAME", "FROM", "ATTEMPTS", "SIZE", "BEGINS"}}
	for i := range v.Shelf {
		m := &v.Shelf[i]
		text := inspect.Escape(m.Text)
		if len(text) > shelfColumn {
			text = text[:shelfColumn] + "…"
		}
		rows = append(rows, []string{strconv.FormatUint(m.Seq, 10), shortSince(m.At, now), o.Who(m.Peer), strconv.Itoa(m.Attempts), Bytes(int64(m.Bytes)), text})
	}
	if err := o.Table(rows); err != nil {
		return err
	}
	if n := v.Dead - len(v.Shelf); n > 0 {
		_, err := fmt.Fprintf(o.Out, "and %s more\n", inspect.Number(uint64(n)))
		return err
	}
	return nil
}

// Retried writes how many messages are handed out again.
func Retried(o *Output, v *models.ShelfTaken) error {
	_, err := fmt.Fprintf(o.Out, "%s handed out again\n", inspect.Count(uint64(v.Messages), "message"))
	return err
}

// DroppedOffShelf writes how many messages were deleted.
func DroppedOffShelf(o *Output, v *models.ShelfTaken) error {
	_, err := fmt.Fprintf(o.Out, "deleted %s\n", inspect.Count(uint64(v.Messages), "message"))
	return err
}
