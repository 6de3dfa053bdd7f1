package onecall

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// recording is what a live node of a release and a program of ours said.
type recording struct {
	Bytes []struct {
		Case  string `json:"case"`
		Order []struct {
			From string `json:"from"`
			Hex  string `json:"hex"`
		} `json:"order"`
	} `json:"bytes"`
}

// Every frame of the recorded sessions decodes and encodes to the same bytes;
// the first ones are the handshake's.
//
// conforms: comms 92, 96
func TestRecordedFrames(t *testing.T) {
	files, err := filepath.Glob("../../../tests/vectors/comms/rpc-*.json")
	if err != nil || len(files) != 6 {
		t.Fatalf("got %d files, %v, want 6", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var rec recording
		if err := json.Unmarshal(text, &rec); err != nil {
			t.Fatal(err)
		}
		client := "rust"
		if matched, _ := filepath.Match("rpc-server-*", filepath.Base(file)); matched {
			client = "go"
		}
		for _, c := range rec.Bytes {
			for i, m := range c.Order {
				if strings.Contains(m.Hex, "...") {
					continue // too long to be recorded whole
				}
				frame, err := hex.DecodeString(m.Hex)
				if err != nil {
					t.Fatal(err)
				}
				var again []byte
				switch {
				case i == 0:
					if ok, err := DecodeHello(frame[4:]); err != nil || ok != (c.Case != "handshake without version 0") {
						t.Errorf("%s: %s: got %v, %v from the hello", file, c.Case, ok, err)
					}
					continue
				case i == 1:
					err := DecodeReply(frame[4:])
					again = AppendAccepted(make([]byte, 4))
					if err != nil {
						again = AppendRejected(make([]byte, 4), rpc.UnsupportedVersion)
					}
					again[3] = byte(len(again) - 4)
				case m.From == client:
					r, err := DecodeRequest(frame[4:])
					if err != nil {
						t.Errorf("%s: %s: message %d: %v", file, c.Case, i, err)
					}
					again = AppendRequest(nil, r)
				default:
					r, err := DecodeResponse(frame[4:])
					if err != nil {
						t.Errorf("%s: %s: message %d: %v", file, c.Case, i, err)
					}
					again = AppendResponse(nil, r)
				}
				if !bytes.Equal(again, frame) {
					t.Errorf("%s: %s: message %d: got %.60x, want %.60x", file, c.Case, i, again, frame)
				}
			}
		}
	}
}
