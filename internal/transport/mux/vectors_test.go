package mux

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
)

// recorded is one session with a live node, as far as it concerns yamux.
type recorded struct {
	Inputs struct {
		Role string `json:"our_role"`
	} `json:"inputs"`
	Expect struct {
		Frames []struct {
			From   string `json:"from"`
			Type   string `json:"type"`
			Flags  string `json:"flags"`
			Stream uint32 `json:"stream"`
			Header string `json:"header"`
			Body   string `json:"body"`
		} `json:"yamux"`
	} `json:"expect"`
}

// The recorded sessions with the three releases: the peer's frames go in, ours
// are the recorded ones byte for byte, and every substream reads what it read.
//
// conforms: comms 60, 61, 65, 143
func TestRecordedSessions(t *testing.T) {
	files, err := filepath.Glob("../../../tests/vectors/comms/session-*.json")
	if err != nil || len(files) != 6 {
		t.Fatalf("got %d files, %v, want 6", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var rec recorded
			if err := json.Unmarshal(text, &rec); err != nil {
				t.Fatal(err)
			}
			bubble(t, func(t *testing.T) { replay(t, rec) })
		})
	}
}

func replay(t *testing.T, rec recorded) {
	s, d := connect(t, rec.Inputs.Role == "initiator", Config{Window: smallWindow})
	d.Mute(true)
	streams := map[uint32]*Stream{}
	got := map[uint32]*strings.Builder{}
	want := map[uint32]string{}
	known := func(id uint32) *Stream {
		if streams[id] == nil {
			st, err := s.Accept()
			if err != nil {
				t.Fatal(err)
			}
			streams[st.ID()] = st
		}
		if streams[id] == nil {
			t.Fatalf("got no stream %d", id)
		}
		if got[id] == nil {
			b := new(strings.Builder)
			got[id] = b
			go func() {
				if _, err := io.Copy(b, streams[id]); err != nil {
					b.WriteString(" error: " + err.Error())
				}
			}()
		}
		return streams[id]
	}
	pinged := make(chan error, 1)
	said := false
	for i, f := range rec.Expect.Frames {
		if f.From == "rust" {
			if f.Flags == "FIN" && streams[f.Stream] == nil {
				// Recorded by arrival: our ACK may have left before it.
				for _, later := range rec.Expect.Frames[i:] {
					if later.From == "go" && later.Stream == f.Stream && later.Flags == "ACK" {
						known(f.Stream)
					}
				}
			}
			d.Write(unhex(t, f.Header+f.Body))
			want[f.Stream] += string(unhex(t, f.Body))
			synctest.Wait()
			continue
		}
		switch f.Type + " " + f.Flags {
		case "wupd SYN":
			st := mustOpen(t, s)
			streams[st.ID()] = st
			known(f.Stream)
		case "wupd ACK":
			known(f.Stream)
		case "data ":
			mustWrite(t, known(f.Stream), string(unhex(t, f.Body)))
		case "data FIN":
			if err := known(f.Stream).CloseWrite(); err != nil {
				t.Fatal(err)
			}
		case "ping SYN":
			go func() {
				_, err := s.Ping()
				pinged <- err
			}()
			said = true
		case "ping ACK":
		case "goaway ":
			if err := s.GoAway(); err != nil {
				t.Fatal(err)
			}
		default:
			t.Fatalf("frame %d: got unknown %s %s", i, f.Type, f.Flags)
		}
		d.expect(f.Header + f.Body)
	}
	if said {
		if err := <-pinged; err != nil {
			t.Error(err)
		}
	}
	d.quiet()
	synctest.Wait()
	for id, b := range got {
		if b.String() != want[id] {
			t.Errorf("stream %d: got %q, want %q", id, b, want[id])
		}
	}
	if len(got) == 0 {
		t.Error("got no streams, want some")
	}
	if s.Err() != nil {
		t.Errorf("got %v, want a living session", s.Err())
	}
}
