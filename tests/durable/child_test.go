//go:build unix

// Package durable kills nodes, and fills their disk, and looks at what is left
// of what they acknowledged.
package durable

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// The test binary is also the node that is killed: started with these in its
// environment it writes to the data directory until somebody ends it.
const (
	envChild = "GAMELAN_DURABLE_CHILD" // loadChild or fullChild
	envDir   = "GAMELAN_DURABLE_DIR"
	envBase  = "GAMELAN_DURABLE_BASE" // the first number to count from

	loadChild = "load"
	fullChild = "full"
)

func TestMain(m *testing.M) {
	if kind := os.Getenv(envChild); kind != "" {
		if err := child(kind); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func child(kind string) error {
	var base uint64
	if _, err := fmt.Sscan(os.Getenv(envBase), &base); err != nil {
		return err
	}
	n, err := gamelan.Start(context.Background(), gamelan.Config{
		DataDir: os.Getenv(envDir), Listen: []string{gamelan.ListenNowhere},
	}, gamelan.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		return err
	}
	fmt.Println("ready")
	if kind == fullChild {
		return fillDisk(n)
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() { work(n, w, base) })
	}
	wg.Wait() // until killed, or an error
	return errors.New("every worker has ended")
}

// patience is more than the longest pause between two tries to write, a minute.
const patience = 3 * time.Minute

const (
	workers = 4
	pairs   = 8 // of each worker, imported two at a time
	singles = 4 // of each worker, added and forgotten
)

// pairKey and singleKey name the peers that a worker works on.
func pairKey(worker, pair, half int) identity.PublicKey {
	return sha256.Sum256(fmt.Appendf(nil, "pair %d %d %d", worker, pair, half))
}

func singleKey(worker, single int) identity.PublicKey {
	return sha256.Sum256(fmt.Appendf(nil, "single %d %d", worker, single))
}

// work changes peers one after the other and says before and after each change
// what it does, as "try <worker> <number>" and "ok <worker> <number>". What the
// number means both processes know: see change.
func work(n *gamelan.Node, w int, base uint64) {
	for i := base; ; i++ {
		fmt.Printf("try %d %d\n", w, i)
		if err := change(n, w, i); err != nil {
			fmt.Fprintf(os.Stderr, "worker %d, change %d: %v\n", w, i, err)
			return
		}
		fmt.Printf("ok %d %d\n", w, i)
	}
}

// change makes the i-th change of a worker: of three, two import a pair of
// peers whose reason for a ban is the number, in one message, and one adds or
// forgets a single peer.
func change(n *gamelan.Node, w int, i uint64) error {
	ctx := context.Background()
	switch {
	case i%3 != 0:
		_, err := n.Peers().Import(ctx, pairFile(w, i))
		return err
	case i/3/singles%2 == 0:
		return n.Peers().Add(ctx, peerstore.Peer{Key: singleKey(w, int(i/3%singles)), UserAgent: fmt.Sprint(i)})
	default:
		return n.Peers().Forget(ctx, singleKey(w, int(i/3%singles)).NodeID())
	}
}

func pairOf(i uint64) int { return int(i % pairs) }

// pairFile is the JSON of the bans of a pair.
func pairFile(w int, i uint64) *bytes.Reader {
	var b bytes.Buffer
	var list []peerstore.Peer
	for half := range 2 {
		list = append(list, peerstore.Peer{
			ID: pairKey(w, pairOf(i), half).NodeID(), BanReason: fmt.Sprint(i),
			BannedUntil: time.Date(2100, time.January, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * time.Second),
		})
	}
	if _, err := peerstore.WriteJSON(&b, slices.Values(list)); err != nil {
		panic(err)
	}
	return bytes.NewReader(b.Bytes())
}

// fillDisk adds peers until its disk is full, which a limit on the size of its
// files stands for; sees what the node says then; makes room, and goes on. It
// says what was acknowledged, as "ok <number>".
func fillDisk(n *gamelan.Node) error {
	signal.Ignore(syscall.SIGXFSZ)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	room := limit.Cur
	limit.Cur = 1 << 20 // less than the store asks for before it is opened anew
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	ctx := context.Background()
	heard := make(chan any, 64) // of the store; the first is its trouble
	go func() {
		for e := range n.Events(ctx) {
			switch e.Value.(type) {
			case actors.StoreTroubled, actors.StoreHealed:
				heard <- e.Value
			}
		}
	}()
	add := func(from, to int) error {
		list := make([]peerstore.Peer, 0, to-from)
		for i := from; i < to; i++ {
			list = append(list, filling(i))
		}
		var b bytes.Buffer
		if _, err := peerstore.WriteJSON(&b, slices.Values(list)); err != nil {
			return err
		}
		if _, err := n.Peers().Import(ctx, &b); err != nil {
			return err
		}
		for i := from; i < to; i++ {
			fmt.Println("ok", i)
		}
		return nil
	}
	const chunk = 200
	next, failed := 0, error(nil)
	for ; failed == nil && next < 100*chunk; next += chunk {
		failed = add(next, next+chunk)
	}
	if !errors.Is(failed, actors.ErrStoreFailed) || !strings.Contains(failed.Error(), "free space") {
		return fmt.Errorf("on a full disk: got %w, want ErrStoreFailed and the remedy", failed)
	}
	status, err := n.Status(ctx)
	if err != nil || !strings.Contains(status.Cause, "peer store cannot be written: ") {
		return fmt.Errorf("on a full disk: got status %q (%w), want it to say so", status.Cause, err)
	}
	if why := n.Inspection().Degraded(ctx); len(why) == 0 || why[0].Code != codes.PeersUnwritten.Name || !strings.HasPrefix(why[0].What, "the peer store cannot be written: ") {
		return fmt.Errorf("on a full disk: got %q, want the node degraded because of it", why)
	}
	if got := n.Peers().Len(); got != next {
		return fmt.Errorf("on a full disk: got %d peers in memory, want all %d", got, next)
	}
	select {
	case e := <-heard:
		if _, ok := e.(actors.StoreTroubled); !ok {
			return fmt.Errorf("on a full disk: got %T, want StoreTroubled", e)
		}
	case <-time.After(patience):
		return errors.New("on a full disk: got no StoreTroubled")
	}
	for again := time.After(3 * time.Second); again != nil; { // it tries again, in vain
		select {
		case e := <-heard:
			if _, ok := e.(actors.StoreHealed); ok {
				return errors.New("on a full disk: got StoreHealed")
			}
		case <-again:
			again = nil
		}
	}
	if status, err := n.Status(ctx); err != nil || !strings.Contains(status.Cause, "peer store cannot be written: ") {
		return fmt.Errorf("on a full disk, later: got status %q (%w), want it to say so", status.Cause, err)
	}
	limit.Cur = room
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	for healed, late := false, time.After(patience); !healed; {
		select {
		case e := <-heard:
			_, healed = e.(actors.StoreHealed)
		case <-late:
			return errors.New("with room again: got no StoreHealed")
		}
	}
	for i := next - chunk; i < next; i++ {
		fmt.Println("ok", i) // healed: everything is on the disk
	}
	if err := add(next, next+chunk); err != nil {
		return fmt.Errorf("with room again: %w", err)
	}
	if status, err := n.Status(ctx); err != nil || strings.Contains(status.Cause, "peer store") {
		return fmt.Errorf("with room again: got status %q (%w), want nothing of the store", status.Cause, err)
	}
	if why := n.Inspection().Degraded(ctx).Texts(); len(why) > 0 {
		return fmt.Errorf("with room again: got degraded: %q", why)
	}
	return syscall.Kill(os.Getpid(), syscall.SIGKILL) // nothing is written at the end
}

// filling is the i-th peer that fills the disk.
func filling(i int) peerstore.Peer {
	var id identity.NodeID
	binary.BigEndian.PutUint64(id[:], uint64(i+1)*0x9e3779b97f4a7c15)
	return peerstore.Peer{ID: id, BanReason: strings.Repeat("x", 200), BannedUntil: time.Date(2100, time.January, 1, 0, 0, 0, 0, time.UTC)}
}

// said reads what a child says until its end: whole lines only.
func said(r *bufio.Reader, line func(words []string)) {
	for {
		text, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line(strings.Fields(text))
	}
}
