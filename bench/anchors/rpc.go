package anchors

import (
	"bufio"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/gamelan-p2p/gamelan/bench/harness"
)

// Libp2pRequests is libp2p/request-response-N-Sstreams: Libp2pRequest on s open
// streams at the same time, one message at a time on each.
func Libp2pRequests(n, s int) harness.Case {
	return harness.Case{Name: fmt.Sprintf("libp2p/request-response-%s-%dstreams", size(n), s), Run: func(m *harness.Meter) error {
		l, d, stop, err := connectedWith(m.Context(), echoMessages(n))
		if err != nil {
			return err
		}
		defer stop()
		exchanges := make([]func() error, s)
		for i := range exchanges {
			if exchanges[i], err = openExchange(m.Context(), l, d, n); err != nil {
				return err
			}
		}
		return m.Parallel(s, func(i int) error { return exchanges[i]() }, 50)
	}}
}

// Libp2pItems is libp2p/stream-items-N: on one stream, a request of one message
// is answered with messages of n bytes without end, each flushed; the client
// reads each into memory of its own.
func Libp2pItems(n int) harness.Case {
	return harness.Case{Name: "libp2p/stream-items-" + size(n), Run: func(m *harness.Meter) error {
		l, d, stop, err := connectedWith(m.Context(), func(s network.Stream) {
			defer s.Close()
			r, w, buf := bufio.NewReaderSize(s, 4<<10), bufio.NewWriterSize(s, 64<<10), make([]byte, 64)
			if _, err := readMessage(r, buf); err != nil {
				return
			}
			for msg := body(n); ; {
				if writeMessage(w, msg) != nil || w.Flush() != nil {
					return
				}
			}
		})
		if err != nil {
			return err
		}
		var received atomic.Uint64
		var wg sync.WaitGroup
		defer wg.Wait()
		defer stop()
		s, err := d.NewStream(m.Context(), l.ID(), benchProtocol)
		if err != nil {
			return err
		}
		w := bufio.NewWriterSize(s, 4<<10)
		if err := errors.Join(writeMessage(w, body(32)), w.Flush()); err != nil {
			return err
		}
		wg.Go(func() {
			r := bufio.NewReaderSize(s, 64<<10)
			for {
				if _, err := readMessage(r, make([]byte, n)); err != nil {
					return
				}
				received.Add(1)
			}
		})
		m.SetBytes(n)
		return m.Flow(received.Load)
	}}
}
