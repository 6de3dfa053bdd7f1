package more_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/internal/protocol/frame"
	"github.com/gamelan-p2p/gamelan/internal/protocol/more"
	"github.com/gamelan-p2p/gamelan/protocol"
)

func list(n, length int) (ids []protocol.ID) {
	for i := range n {
		ids = append(ids, protocol.ID(fmt.Sprintf("%0*d", length, i)))
	}
	return ids
}

// conforms: V 41
func TestReadWhatWasAppended(t *testing.T) {
	for _, ids := range [][]protocol.ID{nil, list(1, 1), list(more.MaxProtocols, protocol.MaxID)} {
		got, err := more.Read(bytes.NewReader(more.Append(nil, ids)))
		if err != nil || !slices.Equal(got, ids) {
			t.Errorf("%d ids: got %d, %v", len(ids), len(got), err)
		}
	}
	if want := "00000006" + "0a04612f622f"; fmt.Sprintf("%x", more.Append(nil, []protocol.ID{"a/b/"})) != want {
		t.Errorf("got %x, want %s", more.Append(nil, []protocol.ID{"a/b/"}), want)
	}
}

// conforms: V 41
func TestListsThatAreRefused(t *testing.T) {
	body := func(ids []protocol.ID) string { return string(more.Append(nil, ids)[frame.HeaderLen:]) }
	for name, c := range map[string]struct {
		body string
		want error
	}{
		"one too many":         {body(list(more.MaxProtocols+1, 3)), more.ErrTooMany},
		"too long":             {body(list(1, protocol.MaxID+1)), more.ErrTooMany},
		"cut off":              {"\x0a\x05ab", more.ErrUndecodable},
		"no tag":               {"\xff", more.ErrUndecodable},
		"unknown field, ended": {"\x12\x05ab", more.ErrUndecodable},
	} {
		_, err := more.Decode([]byte(c.body))
		var v *protocol.Violation
		if !errors.Is(err, c.want) || !errors.As(err, &v) || v.Ban != protocol.BanShort {
			t.Errorf("%s: got %v, want %v and a short ban", name, err, c.want)
		}
	}
	if got, err := more.Decode([]byte("\x12\x02ab\x0a\x01c\x18\x07")); err != nil || !slices.Equal(got, []protocol.ID{"c"}) {
		t.Errorf("unknown fields: got %q, %v", got, err)
	}
	if _, err := more.Read(strings.NewReader("\x00\x01\x00\x00")); !errors.Is(err, more.ErrTooMany) {
		t.Errorf("a long frame: got %v, want %v", err, more.ErrTooMany)
	}
}

func FuzzDecodeList(f *testing.F) {
	f.Add(more.Append(nil, list(3, 5))[frame.HeaderLen:])
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := more.Decode(body)
		if err != nil {
			if !errors.Is(err, protocol.ErrViolation) {
				t.Errorf("got %v, want a violation", err)
			}
			return
		}
		again, err := more.Read(bytes.NewReader(more.Append(nil, got)))
		if err != nil || !slices.Equal(again, got) {
			t.Errorf("got %q, %v, want %q", again, err, got)
		}
	})
}
