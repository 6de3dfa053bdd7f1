package peers

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// consoleVariable is set in a process that is a node and nothing else.
const consoleVariable = "GAMELAN_BENCH_PEER"

// Console runs a node that is steered by lines on standard input, as those of
// Tari are, and reports true if this process is one. Call it first thing in
// main.
func Console() (was bool, err error) {
	if os.Getenv(consoleVariable) == "" {
		return false, nil
	}
	c := &console{ctx: context.Background(), begin: time.Now()}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	cfg := gamelan.Config{MaxInbound: crowd + 100}
	itself := func(*gamelan.Node) actor.Actor { return c }
	hears := gamelan.WithHandler(itself)
	if cfg.DHT, err = dhtConfig(os.Args[1:]); err != nil {
		return true, err
	}
	if cfg.DHT == nil { // plain messages as those of Tari's nodes
		cfg.NoDHT, cfg.PlainOnProfile = true, true
	}
	if c.name = "handler"; cfg.DHT != nil {
		c.name = fmt.Sprintf("type-%d", domainType)
		hears = gamelan.WithType(domainType, itself)
	}
	if c.node, err = gamelan.Start(c.ctx, cfg, gamelan.WithLogger(log), hears); err != nil {
		return true, err
	}
	return true, errors.Join(c.serve(), c.node.Close(c.ctx))
}

// dhtConfig is the DHT that the arguments ask for, nil for none. They are those
// of Tari's nodes.
func dhtConfig(arguments []string) (*gamelan.DHTConfig, error) {
	flags := flag.NewFlagSet("node", flag.ContinueOnError)
	on := flags.String("dht", "false", "take part in the DHT")
	limit := flags.Int("dht-flood-limit", 0, "messages of a peer in 60 s before it is banned, and to a peer")
	if err := flags.Parse(arguments); err != nil || *on != "true" {
		return nil, err
	}
	return &gamelan.DHTConfig{FloodLimit: *limit, SendPace: *limit}, nil
}

// console is the node, and the handler actor that sends and counts.
type console struct {
	ctx   context.Context
	node  *gamelan.Node
	name  string // of the actor
	begin time.Time

	received atomic.Uint64

	// Of the flood; what has no lock belongs to the actor.
	over   atomic.Bool
	failed atomic.Pointer[string]
	sent   uint64
	flood  flood
}

type flood struct {
	to     identity.NodeID
	body   []byte
	window int
	letter *dht.Message // the same over the DHT, but for the body; nil: plain
}

// Receive counts what arrives, and keeps the flood's window full.
func (c *console) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case actors.Received, dht.Received:
		c.received.Add(1)
	case flood:
		c.flood = m
		for range m.window {
			c.send(ctx)
		}
	case actors.Sent:
		c.ended(ctx, m.Outcome)
	case dht.Sent:
		if r := m.Report; len(r.Copies) == 1 {
			c.ended(ctx, r.Copies[0].Outcome)
		} else {
			c.ended(ctx, r)
		}
	}
}

// ended is the end of one message.
func (c *console) ended(ctx actor.Context, how any) {
	if out, ok := how.(protocol.Outcome); !ok || out.Kind != protocol.Confirmed {
		text := fmt.Sprint(how)
		c.failed.CompareAndSwap(nil, &text)
	}
	c.send(ctx)
}

func (c *console) send(ctx actor.Context) {
	if c.over.Load() || c.failed.Load() != nil {
		return
	}
	c.sent++
	if c.flood.letter == nil {
		c.node.SendFrom(ctx, c.sent, c.flood.to, c.flood.body)
		return
	}
	m := *c.flood.letter
	m.Body = bytes.Clone(c.flood.body)
	binary.LittleEndian.PutUint64(m.Body, c.sent) // equal ones are duplicates
	c.node.DHT().SendFrom(ctx, c.sent, m)
}

func (c *console) serve() error {
	out := json.NewEncoder(os.Stdout)
	type identity struct {
		Key       string `json:"key"`
		Listening string `json:"listening"`
	}
	started := map[string]any{"event": "started", "identity": identity{c.node.PublicKey().String(), c.node.Addresses()[0].String()}}
	if err := out.Encode(started); err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var cmd command
		if err := json.Unmarshal(lines.Bytes(), &cmd); err != nil {
			return err
		}
		said := map[string]any{"id": cmd.ID}
		if ok, err := c.run(cmd); err != nil {
			said["error"] = err.Error()
		} else {
			said["ok"] = ok
		}
		if err := out.Encode(said); err != nil {
			return err
		}
	}
	return lines.Err()
}

// command is a line of standard input.
type command struct {
	ID      uint64
	Cmd     string
	Peer    string
	Address string
	Size    int
	Window  int
	Count   int
	Seal    string // of a message of the DHT
}

func (c *console) run(cmd command) (ok any, err error) {
	switch cmd.Cmd {
	case "add_peer":
		return nil, ignore(c.node.Peers().AddSeed(c.ctx, cmd.Peer+"::"+cmd.Address))
	case "dial":
		id, err := c.id(cmd)
		if err != nil {
			return nil, err
		}
		return nil, ignore(c.node.Dial(c.ctx, id))
	case "flood":
		return nil, c.begins(cmd, nil)
	case "dht_flood":
		key, err := identity.ParsePublicKey(cmd.Peer)
		if err != nil {
			return nil, err
		}
		return nil, c.begins(cmd, &dht.Message{
			To: dht.DirectKey{Key: key}, Type: domainType, Sign: cmd.Seal == "signed", Encrypt: cmd.Seal == "encrypted",
		})
	case "flood_stop":
		c.over.Store(true)
		failed := map[string]int{}
		if text := c.failed.Load(); text != nil {
			failed[*text] = 1
		}
		return map[string]any{"failed": failed}, nil
	case "counted":
		return map[string]any{"count": c.received.Load(), "us": time.Since(c.begin).Microseconds()}, nil
	case "connects":
		return c.connects(cmd)
	case "usage":
		return usage()
	case "collect":
		debug.FreeOSMemory()
		return nil, nil
	}
	return nil, fmt.Errorf("unknown command %q", cmd.Cmd)
}

// begins has the actor send without end.
func (c *console) begins(cmd command, letter *dht.Message) error {
	id, err := c.id(cmd)
	if err != nil {
		return err
	}
	pid, ok := c.node.Actor(c.name)
	if !ok {
		return errors.New("the node has no " + c.name)
	}
	c.node.System().Root.Send(pid, flood{id, make([]byte, cmd.Size), cmd.Window, letter})
	return nil
}

func (c *console) id(cmd command) (identity.NodeID, error) {
	key, err := identity.ParsePublicKey(cmd.Peer)
	return key.NodeID(), err
}

// connects connects and disconnects, and tries again what was too early: the
// other side had not noticed the end of the last connection yet.
func (c *console) connects(cmd command) (any, error) {
	id, err := c.id(cmd)
	if err != nil {
		return nil, err
	}
	begin, failed := time.Now(), 0
	for done := 0; done < cmd.Count; {
		_, err := c.node.Dial(c.ctx, id)
		if err == nil {
			err = c.node.Disconnect(c.ctx, id)
		}
		switch {
		case err == nil:
			done++
		case failed == cmd.Count:
			return nil, err
		default:
			failed++
		}
	}
	return map[string]any{"failed": failed, "us": time.Since(begin).Microseconds()}, nil
}

func usage() (any, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return nil, err
	}
	return map[string]any{"cpu_us": (u.Utime.Nano() + u.Stime.Nano()) / 1000}, nil
}

func ignore[T any](_ T, err error) error { return err }
