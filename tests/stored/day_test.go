package stored

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// TestBubbleStoredDay has clients come and go in a network for a virtual hour, with GAMELAN_LONG
// for two, or with GAMELAN_STORED_DAY=1 for 24 among 100 nodes, while everybody writes to them, and some of the
// nodes that store restart now and then: each letter
// that was written to a node that may store it reaches the handler of its receiver once,
// unless its receiver stayed away until its validity was over.
//
// conforms: dht 141
func TestBubbleStoredDay(t *testing.T) {
	d := &storedDay{nodes: 6, clients: 3, length: time.Hour}
	switch {
	case os.Getenv("GAMELAN_STORED_DAY") != "":
		d.nodes, d.clients, d.length = 100, 20, 24*time.Hour
	case os.Getenv("GAMELAN_LONG") != "" && !kit.RaceEnabled:
		d.nodes, d.length = 10, 2*time.Hour
	}
	began := time.Now()
	gamelantest.Bubble(t, d.run)
	t.Logf("%d nodes and %d clients, %v in %v", d.nodes, d.clients, d.length, time.Since(began).Round(time.Second))
}

// storedDay is a network with clients that come and go.
type storedDay struct {
	nodes, clients int
	length         time.Duration

	t      *testing.T
	net    *gamelantest.Network
	random *rand.Rand
	all    []kit.Member     // the nodes
	kept   []gamelan.Config // of the nodes, from the second one on, that restart and keep what they store
	starts int              // restarts of them
	away   []*wanderer
}

// wanderer is a client that comes and goes. Its data directory is all that stays.
type wanderer struct {
	dir     string
	key     identity.PublicKey
	node    *gamelantest.Node // nil while it is away
	next    time.Time         // when it comes or goes
	letters []acceptedLetter
	heard   []*gamelantest.Collector // one for each time that it was here
	stays   []stay
}

// stay is a time in which a client was here.
type stay struct{ from, to time.Time }

// acceptedLetter is a message that a node has accepted for a client.
type acceptedLetter struct {
	body string
	at   time.Time
}

func (d *storedDay) run(t *testing.T) {
	d.t, d.net, d.random = t, kit.Asking(t), rand.New(rand.NewPCG(17, 24))
	for i := range d.nodes {
		cfg := gamelan.Config{Floor: 8}
		if i > 0 {
			cfg.Seeds = []string{d.all[0].Seed()}
		}
		if i > 0 && len(d.kept) < max(2, d.nodes/10) {
			cfg.DataDir = t.TempDir()
			d.kept = append(d.kept, cfg)
		}
		d.all = append(d.all, kit.StartMember(d.net, cfg, kit.Quiet))
	}
	time.Sleep(2 * time.Minute)
	for range d.clients {
		w := &wanderer{dir: t.TempDir()}
		d.away = append(d.away, w)
		d.arrive(w)
	}
	time.Sleep(2 * time.Minute)
	for end := time.Now().Add(d.length); time.Now().Before(end); time.Sleep(time.Minute) {
		for _, w := range d.away {
			if time.Now().Before(w.next) {
				continue
			}
			if w.node == nil {
				d.arrive(w)
			} else {
				d.leave(w)
			}
		}
		d.write(max(1, d.clients/20))
		if d.random.IntN(restartEach) == 0 {
			d.restart()
		}
	}
	for _, w := range d.away {
		if w.node == nil {
			d.arrive(w)
		}
	}
	time.Sleep(15 * time.Minute)
	synctest.Wait()
	d.check()
}

// restartEach is how many minutes pass on average between two restarts of nodes.
const restartEach = 10

// restart restarts a node that keeps what it stores.
func (d *storedDay) restart() {
	i := d.random.IntN(len(d.kept))
	if err := d.all[1+i].Close(context.Background()); err != nil {
		d.t.Error(err)
	}
	d.all[1+i] = kit.StartMember(d.net, d.kept[i], kit.Quiet)
	d.starts++
}

// arrive starts a client, which knows the first node only.
func (d *storedDay) arrive(w *wanderer) {
	heard := gamelantest.NewCollector()
	w.node = d.net.Start(gamelan.Config{
		Client: true, DataDir: w.dir, Floor: 4, Seeds: []string{d.all[0].Seed()}, DHT: &gamelan.DHTConfig{},
	}, kit.Quiet, gamelan.WithType(kit.TextType, heard.New))
	w.key = w.node.PublicKey()
	w.heard = append(w.heard, heard)
	w.stays = append(w.stays, stay{from: time.Now()})
	w.next = time.Now().Add(time.Duration(5+d.random.IntN(40)) * time.Minute)
}

// leave stops a client.
func (d *storedDay) leave(w *wanderer) {
	if err := w.node.Close(context.Background()); err != nil {
		d.t.Error(err)
	}
	w.node = nil
	w.stays[len(w.stays)-1].to = time.Now()
	longest := 90
	if d.length >= 24*time.Hour {
		longest = 8 * 60 // some letters of low priority expire
	}
	w.next = time.Now().Add(time.Duration(10+d.random.IntN(longest)) * time.Minute)
}

// write has n nodes write to a client each, whether it is here or not.
func (d *storedDay) write(n int) {
	for range n {
		from, w := d.all[d.random.IntN(len(d.all))], d.away[d.random.IntN(len(d.away))]
		l := acceptedLetter{fmt.Sprintf("letter %d to %s", len(w.letters), w.key), time.Now()}
		r, err := from.DHT().Send(d.t.Context(), dht.Message{To: dht.StoreFor{To: w.key}, Type: kit.TextType, Encrypt: true, Body: []byte(l.body)})
		if err != nil {
			d.t.Errorf("%s: %v", l.body, err)
			continue
		}
		if r.Count(protocol.Confirmed) > 0 {
			w.letters = append(w.letters, l)
		}
	}
}

// settling is how long a client must be here to get what is stored for it.
const settling = 5 * time.Minute

// back returns when the client was here for long enough after a time.
func (w *wanderer) back(at time.Time) time.Time {
	for _, s := range w.stays {
		from := s.from
		if from.Before(at) {
			from = at
		}
		if s.to.IsZero() || s.to.Sub(from) >= settling {
			return from
		}
	}
	return w.stays[len(w.stays)-1].from
}

func (d *storedDay) check() {
	letters, delivered, over, returns := 0, 0, 0, 0
	for i, w := range d.away {
		got := make(map[string]int)
		for _, heard := range w.heard {
			for _, body := range heard.Bodies() {
				got[body]++
			}
		}
		returns += len(w.stays) - 1
		for _, l := range w.letters {
			letters++
			switch wait := w.back(l.at).Sub(l.at); {
			case got[l.body] == 1:
				delivered++
			case got[l.body] > 1:
				d.t.Errorf("client %d: %q of %v was handled %d times", i, l.body, l.at, got[l.body])
			case wait < saf.Default().Low-time.Minute:
				d.t.Errorf("client %d: %q of %v is lost; the client was back after %v", i, l.body, l.at, wait)
			default:
				over++
			}
		}
	}
	d.t.Logf("%d letters: %d delivered, the validity of %d was over; %d returns, %d restarts of nodes that store", letters, delivered, over, returns, d.starts)
	if letters == 0 || returns == 0 || d.starts == 0 {
		d.t.Error("nothing was tested")
	}
}
