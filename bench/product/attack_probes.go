package product

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/bench/harness"
	"github.com/gamelan-p2p/gamelan/internal/kad/seedwire"
	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
	"github.com/gamelan-p2p/gamelan/kad/seed"
)

// probes is an attack on the key-value DHT over UDP: PINGs from ever new ports, to each of which
// the node sends a probe that nobody answers. The node asks an honest node all the time, before
// and during the attack. It reports how many of these lookups had an answer. The socket has
// the number of the node's TCP port.
func probes() attack {
	return attack{name: "kad-probes", stage: askAnHonestSeed, prepare: func(_ context.Context, seed string) (func(context.Context, *atomic.Uint64) error, error) {
		to, err := udpOf(seed)
		if err != nil {
			return nil, err
		}
		codec, err := seedwire.NewCodec(20, 0)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context, count *atomic.Uint64) error {
			for tick := time.NewTicker(time.Millisecond); ctx.Err() == nil; <-tick.C { // 60 kB/s
				if err := pingFromNewPort(codec, to); err != nil {
					return err
				}
				count.Add(1)
			}
			return nil
		}, nil
	}}
}

// udpOf returns the address of UDP with the port of a node's seed.
func udpOf(seed string) (*net.UDPAddr, error) {
	to, err := hostPort(seed)
	if err != nil {
		return nil, err
	}
	return net.ResolveUDPAddr("udp4", to)
}

func pingFromNewPort(codec seedwire.Codec, to *net.UDPAddr) error {
	conn, err := net.DialUDP("udp4", nil, to)
	if err != nil {
		return err
	}
	m := overlay.Message{Verb: overlay.Ping}
	_, _ = rand.Read(m.ID[:20]) // never fails
	_, _ = rand.Read(m.Sender[:20])
	b, err := codec.Append(nil, &m)
	if err == nil {
		_, err = conn.Write(b)
	}
	return errors.Join(err, conn.Close())
}

// askAnHonestSeed opens a client of the overlay Seed on the node, which has one honest node asked
// for keys that nobody has.
func askAnHonestSeed(ctx context.Context, n *gamelan.Node) (report func(*harness.Meter), err error) {
	at, err := udpOf(n.Seed())
	if err != nil {
		return nil, err
	}
	honest := seed.New(nil, 0, 0, 0, 0, 0)
	udp, err := seed.UDP(seed.UDPOptions{})
	if err == nil {
		err = errors.Join(honest.RegisterGateway(udp), honest.Start(ctx))
	}
	if err != nil {
		return nil, err
	}
	own, err := seed.UDP(seed.UDPOptions{Listen: fmt.Sprintf("/ip4/127.0.0.1/udp/%d", at.Port)})
	if err != nil {
		return nil, err
	}
	c, err := n.KV().Open(ctx, kad.Config{Name: "seed", Overlay: kad.Seed, AllowPrivate: true, Networks: []kad.Network{own}})
	if err != nil {
		return nil, err
	}
	if _, err := honest.Connect(ctx, fmt.Sprintf("/ip4/127.0.0.1/udp/%d", at.Port)); err != nil {
		return nil, err
	}
	if err := c.WaitReady(ctx); err != nil {
		return nil, err
	}
	asked, cancel := context.WithCancel(ctx)
	var gets, answered atomic.Uint64
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for asked.Err() == nil {
			var key overlay.Key
			_, _ = rand.Read(key[:20])
			_, err := c.Get(asked, key)
			if asked.Err() != nil {
				return
			}
			gets.Add(1)
			if errors.Is(err, kad.ErrNotFound) {
				answered.Add(1)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	context.AfterFunc(ctx, cancel)
	time.Sleep(time.Second)
	before, good := gets.Swap(0), answered.Swap(0)
	return func(m *harness.Meter) {
		cancel()
		<-ended
		m.Report("control lookups answered %", 100*float64(good)/float64(max(before, 1)))
		m.Report("lookups", float64(gets.Load()))
		m.Report("lookups answered %", 100*float64(answered.Load())/float64(max(gets.Load(), 1)))
		_ = honest.Stop(ctx)
	}, nil
}
