package kadpart

import (
	"fmt"

	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/words"
)

// Degraded returns why the node is degraded because of its clients.
func (k *Kad) Degraded() (list models.Notices) {
	for _, c := range k.Clients() {
		if err := c.Trouble(); err != nil {
			list = append(list, codes.KadUnwritten.Notice(fmt.Sprintf("the client %s of the key-value DHT stores nothing for others, because records cannot be written to the disk: %s", c.Name(), words.Sentence(err)), c.Name()))
		}
	}
	return list
}
