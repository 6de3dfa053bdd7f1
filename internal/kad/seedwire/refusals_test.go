package seedwire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"testing"

	"github.com/gamelan-p2p/gamelan/internal/kad/seedwire"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// refused checks that the datagram is a typed error with this cause.
func refused(t *testing.T, what string, datagram []byte, cause error) {
	t.Helper()
	m, err := codec(t, 20, 0).Decode(datagram)
	var typed *overlay.DecodeError
	if !errors.As(err, &typed) || !errors.Is(err, cause) || typed.Stage == "" {
		t.Errorf("%s: got %+v and %v, want a DecodeError of %v", what, m, err, cause)
	}
	if !reflect.DeepEqual(m, overlay.Message{}) {
		t.Errorf("%s: got %+v with the error, want no message", what, m)
	}
}

// TestCutDatagrams cuts each known datagram at every length.
//
// conforms: kad 2
func TestCutDatagrams(t *testing.T) {
	for name, b := range vectors(t) {
		for n := range b {
			refused(t, fmt.Sprintf("%s, %d of %d bytes", name, n, len(b)), b[:n], seedwire.ErrTruncated)
		}
	}
}

// TestTrailingBytes are ignored, whatever they are.
//
// conforms: kad 2
func TestTrailingBytes(t *testing.T) {
	messages := known()
	for name, b := range vectors(t) {
		for _, tail := range [][]byte{{0}, bytes.Repeat([]byte{0xff}, 100), b} {
			got, err := codec(t, 20, 0).Decode(slices.Concat(b, tail))
			if err != nil || !reflect.DeepEqual(got, messages[name]) {
				t.Errorf("%s with %d bytes behind it: got %+v and %v, want %+v", name, len(tail), got, err, messages[name])
			}
		}
	}
}

// Where the known datagrams have their parts.
const (
	atSender = 28
	atTag    = 56
	atBody   = 60 // target, key or count
	atValue  = 88 // length of the value
	atEntry  = 68 // first address of a list
)

// TestTags above 6 are unknown.
//
// conforms: kad 2
func TestTags(t *testing.T) {
	ping := vectors(t)["ping"]
	for _, tag := range []uint32{7, 8, 255, 256, 1 << 31, 1<<32 - 1} {
		b := bytes.Clone(ping)
		binary.LittleEndian.PutUint32(b[atTag:], tag)
		refused(t, fmt.Sprint("tag ", tag), b, seedwire.ErrTag)
	}
}

// TestLengthsBeyondTheDatagram claims more bytes or contacts than there are.
//
// conforms: kad 2
func TestLengthsBeyondTheDatagram(t *testing.T) {
	all := vectors(t)
	for _, n := range []uint64{6, 7, 1 << 16, 1<<31 - 1, 1 << 32, 1 << 63, 1<<64 - 1} {
		for name, at := range map[string]int{"store": atValue, "value": atValue, "nodes-two": atBody} {
			b := bytes.Clone(all[name])
			binary.LittleEndian.PutUint64(b[at:], n)
			refused(t, fmt.Sprintf("%s with length %d", name, n), b, seedwire.ErrTruncated)
		}
	}
	b := bytes.Clone(all["nodes-two"])
	binary.LittleEndian.PutUint64(b[atEntry:], 1<<40)
	refused(t, "a long address", b, seedwire.ErrTruncated)
	binary.LittleEndian.PutUint64(b[atBody:], 1)
	refused(t, "a long address in a shorter list", b, seedwire.ErrTruncated)
}

// TestTextThatIsNotUTF8 damages an address of a list.
//
// conforms: kad 2
func TestTextThatIsNotUTF8(t *testing.T) {
	b := bytes.Clone(vectors(t)["nodes-two"])
	b[atEntry+8] = 0xff
	refused(t, "an address", b, seedwire.ErrText)
}

// TestIDsOfOtherLengths puts ids of 0 to 33 bytes at each place that has one: message id,
// sender, target, key, and an id of a list.
//
// conforms: kad 3
func TestIDsOfOtherLengths(t *testing.T) {
	all := vectors(t)
	places := map[string][]int{
		"ping": {0, atSender}, "pong": {0, atSender}, "find-node": {0, atSender, atBody}, "find-value": {0, atSender, atBody},
		"store": {0, atSender, atBody}, "value": {0, atSender, atBody},
		"nodes-none": {0, atSender}, "nodes-two": {0, atSender, atEntry + 8 + 24, atEntry + 8 + 24 + 28 + 8 + 14},
	}
	for name, list := range places {
		for _, at := range list {
			for n := range 34 {
				if n == 20 {
					continue
				}
				b := binary.LittleEndian.AppendUint64(bytes.Clone(all[name][:at]), uint64(n))
				b = append(b, make([]byte, n)...)
				b = append(b, all[name][at+28:]...)
				refused(t, fmt.Sprintf("%s with %d bytes at %d", name, n, at), b, overlay.ErrIDLength)
			}
		}
	}
	if _, err := codec(t, 32, 0).Decode(all["ping"]); !errors.Is(err, overlay.ErrIDLength) {
		t.Errorf("in a network of 32 bytes: got %v, want ErrIDLength", err)
	}
}

// list returns a datagram that lists n contacts at the given address.
func list(n int, address string) []byte {
	b := seedHeader(5)
	b = binary.LittleEndian.AppendUint64(b, uint64(n))
	for i := range n {
		b = binary.LittleEndian.AppendUint64(b, uint64(len(address)))
		b = append(b, address...)
		b = binary.LittleEndian.AppendUint64(b, 20)
		id := sequence(byte(i))
		b = append(b, id[:20]...)
	}
	return b
}

// seedHeader returns message id, sender and tag.
func seedHeader(tag uint32) []byte {
	id := sequence(0)
	b := binary.LittleEndian.AppendUint64(nil, 20)
	b = append(b, id[:20]...)
	b = append(b, b...)
	return binary.LittleEndian.AppendUint32(b, tag)
}

// TestAllocation decodes the largest datagrams of several kinds, whose lengths and counts
// claim as much as they can. Whatever they say, less is allocated than they are long.
//
// conforms: kad 2, 67
func TestAllocation(t *testing.T) {
	huge := seedHeader(5)
	huge = binary.LittleEndian.AppendUint64(huge, (seedwire.MaxDatagram-68)/16)
	huge = append(huge, make([]byte, seedwire.MaxDatagram-len(huge))...)
	random := make([]byte, seedwire.MaxDatagram)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range random {
		random[i] = byte(r.Uint32())
	}
	value := append(seedHeader(1), vectors(t)["store"][atBody:atValue]...)
	value = binary.LittleEndian.AppendUint64(value, 1<<62)
	value = append(value, make([]byte, seedwire.MaxDatagram-len(value))...)
	c := codec(t, 20, 0)
	for name, b := range map[string][]byte{
		"1,200 contacts":                     list(1200, "/ip4/1.2.3.4/udp/5"),
		"1,200 contacts, no addresses":       list(1200, "/onion/aaaaaaaa:1"),
		"1,800 empty contacts":               list(1800, ""),
		"a count of contacts":                huge,
		"a length of a value":                value,
		"random bytes":                       random,
		"a short datagram with a huge count": append(seedHeader(5), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 100 {
			c.Decode(b)
		}
		runtime.ReadMemStats(&after)
		const overhead = 16 << 10
		if got := (after.TotalAlloc - before.TotalAlloc) / 100; got > overhead {
			t.Errorf("%s, %d bytes: got %d bytes allocated, want at most %d", name, len(b), got, overhead)
		}
	}
}

// TestFrequentMessagesAllocateNothing counts, because each node of the network sends
// dozens of them in a second.
//
// conforms: kad 69
func TestFrequentMessagesAllocateNothing(t *testing.T) {
	c, all := codec(t, 20, 0), vectors(t)
	for _, name := range []string{"ping", "pong", "find-node", "find-value", "nodes-none"} {
		if n := testing.AllocsPerRun(100, func() { c.Decode(all[name]) }); n != 0 {
			t.Errorf("%s: got %v allocations, want none", name, n)
		}
	}
	twenty := overlay.Message{Verb: overlay.Nodes}
	for range 20 {
		twenty.Contacts = append(twenty.Contacts, overlay.SeedContact(sequence(1), "/ip4/255.255.255.254/udp/65535"))
	}
	buffer := make([]byte, 0, seedwire.MaxList)
	if n := testing.AllocsPerRun(100, func() { c.Append(buffer, &twenty) }); n != 0 {
		t.Errorf("20 contacts: got %v allocations, want none", n)
	}
}

func FuzzDatagram(f *testing.F) {
	for _, b := range vectors(f) {
		f.Add(b)
		f.Add(b[:len(b)-1])
	}
	f.Add(list(50, "/ip6/0:0:0:0:0:0:0:1/udp/007/"))
	f.Add(list(3, "/onion/x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := codec(t, 20, seedwire.LongestValue)
		m, err := c.Decode(b)
		if err != nil {
			var typed *overlay.DecodeError
			if !errors.As(err, &typed) || typed.Cause == nil {
				t.Fatalf("got %v, want a DecodeError", err)
			}
			return
		}
		if len(b) > seedwire.MaxDatagram {
			return
		}
		again, err := c.Append(nil, &m)
		if err != nil || len(again) != c.Size(&m) {
			t.Fatalf("got %d bytes of %d and %v", len(again), c.Size(&m), err)
		}
		if m.Verb != overlay.Nodes && !bytes.Equal(again, b[:len(again)]) {
			t.Fatalf("got %x, want it as it came: %x", again, b)
		}
		m.Skipped = 0
		if second, err := c.Decode(again); err != nil || !reflect.DeepEqual(second, m) {
			t.Fatalf("got %+v and %v, want %+v", second, err, m)
		}
	})
}
