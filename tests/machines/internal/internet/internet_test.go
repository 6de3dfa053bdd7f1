package internet

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// world has a network for each of these prefixes, named after it. The ends of the devices that
// a router would have are by name.
func world(prefixes ...string) (*Internet, map[string]net.Conn) {
	n, ends := New(), make(map[string]net.Conn)
	for _, p := range prefixes {
		ours, theirs := net.Pipe()
		n.Attach(p, ours, netip.MustParsePrefix(p))
		ends[p] = theirs
	}
	return n, ends
}

// packetTo returns a packet for an address, with a number in it.
func packetTo(dst string, number byte) []byte {
	ip := netip.MustParseAddr(dst)
	b := make([]byte, 41)
	if ip.Is4() {
		b[0] = 4 << 4
		copy(b[16:], ip.AsSlice())
	} else {
		b[0] = 6 << 4
		copy(b[24:], ip.AsSlice())
	}
	b[40] = number
	return b
}

// next returns the number of the next packet, or -1 if none comes within an hour.
func next(t *testing.T, c net.Conn) int {
	t.Helper()
	buf := make([]byte, 100)
	c.SetReadDeadline(time.Now().Add(time.Hour))
	size, err := c.Read(buf)
	if err != nil {
		return -1
	}
	return int(buf[:size][40])
}

func TestRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, ends := world("11.1.0.0/16", "11.2.0.0/16", "11.2.9.0/24", "2600:2::/32")
		defer n.Close()
		from := ends["11.1.0.0/16"]
		for i, tt := range []struct{ dst, to string }{
			{"11.2.0.10", "11.2.0.0/16"},
			{"11.2.9.10", "11.2.9.0/24"}, // the longest prefix
			{"2600:2::10", "2600:2::/32"},
		} {
			sent := packetTo(tt.dst, byte(i))
			from.Write(sent)
			got := make([]byte, 100)
			ends[tt.to].SetReadDeadline(time.Now().Add(time.Hour))
			size, err := ends[tt.to].Read(got)
			if err != nil || !bytes.Equal(got[:size], sent) {
				t.Errorf("to %s: got %x, %v, want the packet unchanged", tt.dst, got[:size], err)
			}
		}
		from.Write(packetTo("11.1.0.10", 7))   // back
		from.Write(packetTo("192.168.1.1", 7)) // nowhere
		from.Write([]byte{4 << 4, 0})          // no packet
		for name, end := range ends {
			if got := next(t, end); got != -1 {
				t.Errorf("%s: got packet %d, want it dropped", name, got)
			}
		}
	})
}

func TestPaths(t *testing.T) {
	const a, b = "11.1.0.0/16", "11.2.0.0/16"
	toA, toB := "11.1.0.10", "11.2.0.10"
	synctest.Test(t, func(t *testing.T) {
		n, ends := world(a, b)
		defer n.Close()
		n.Everywhere(Path{Delay: 100 * time.Millisecond})
		n.OneWay(a, b, Path{Delay: 30 * time.Millisecond, Jitter: 20 * time.Millisecond})
		begin := time.Now()
		for i := range 50 {
			ends[a].Write(packetTo(toB, byte(i)))
		}
		for i := range 50 {
			if got := next(t, ends[b]); got != i {
				t.Fatalf("packet %d: got %d, want them in order", i, got)
			}
		}
		if took := time.Since(begin); took < 30*time.Millisecond || took > 50*time.Millisecond {
			t.Errorf("got %v, want 30 to 50 ms", took)
		}
		begin = time.Now()
		ends[b].Write(packetTo(toA, 1))
		if got := next(t, ends[a]); got != 1 || time.Since(begin) != 100*time.Millisecond {
			t.Errorf("back: got packet %d after %v, want 1 after 100 ms", got, time.Since(begin))
		}

		const many = 4000
		n.Between(a, b, Path{Loss: 0.3})
		arrived := make(chan int)
		go func() {
			all := 0
			for next(t, ends[b]) >= 0 {
				all++
			}
			arrived <- all
		}()
		for range many {
			ends[a].Write(packetTo(toB, 1))
			synctest.Wait()
		}
		if got := <-arrived; got < many*6/10 || got > many*8/10 {
			t.Errorf("got %d of %d packets at a loss of 30 %%", got, many)
		}
	})
}

// Close ends what moves, with packets under way.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, ends := world("11.1.0.0/16", "11.2.0.0/16")
		n.Everywhere(Path{Delay: time.Hour})
		ends["11.1.0.0/16"].Write(packetTo("11.2.0.10", 1))
		synctest.Wait()
		n.Close()
		for name, end := range ends {
			if _, err := end.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("%s: got %v, want the device closed", name, err)
			}
		}
	})
}
