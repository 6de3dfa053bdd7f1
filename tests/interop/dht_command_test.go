package interop

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/gamelan-p2p/gamelan/identity"
)

// ourCommand is the program of this project, with the folder of its node.
type ourCommand struct {
	t         *testing.T
	path, dir string
	key       identity.PublicKey
}

// startCommand starts "gamelan node", which ends with the test.
func startCommand(t *testing.T, path string) *ourCommand {
	t.Helper()
	c := &ourCommand{t: t, path: path, dir: t.TempDir()}
	cmd := c.command("node", "--connections-floor=-1", "--dht-types", strconv.Itoa(domainType))
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Errorf("stop the node: %v", err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the node ended with %v: %s", err, log.String())
		}
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if f := strings.Fields(lines.Text()); len(f) == 2 && f[0] == "address" {
			key, _, _ := strings.Cut(f[1], "::")
			if c.key, err = identity.ParsePublicKey(key); err != nil {
				t.Fatal(err)
			}
		}
		if strings.HasPrefix(lines.Text(), "Running.") {
			go io.Copy(io.Discard, out)
			return c
		}
	}
	t.Fatal("the node has not started")
	return nil
}

func (c *ourCommand) command(args ...string) *exec.Cmd {
	cmd := exec.Command(c.path, append(args, "--data-dir", c.dir)...)
	cmd.Env = append(cmd.Environ(), "GAMELAN_CONFIG="+os.DevNull)
	return cmd
}

// run runs the command to its end.
func (c *ourCommand) run(args ...string) []byte {
	c.t.Helper()
	cmd := c.command(args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		c.t.Fatalf("gamelan %s: %v: %s", strings.Join(args, " "), err, errs.String())
	}
	return out
}

// The command sends to a Tari node over the DHT, in clear, signed and encrypted,
// and shows what comes from it, with its author.
//
// feature: DHT: gamelan send --to and gamelan listen
func TestDHTCommand(t *testing.T) {
	t.Parallel()
	path := buildCommand(t)
	against(t, func(t *testing.T, release string) {
		t.Parallel()
		p, c := startTariDHT(t, release), startCommand(t, path)
		to, messageType := p.seed(), strconv.Itoa(domainType) // later its key alone
		for _, seal := range seals {
			text := "ours " + seal
			flags := map[string][]string{"signed": {"--sign"}, "encrypted": {"--encrypt"}}[seal]
			out := c.run(append([]string{"send", "--json", "--to", to, "--type", messageType, text}, flags...)...)
			to = p.key.String()
			var sent struct {
				Copies []struct{ Peer, Outcome string }
			}
			if err := json.Unmarshal(out, &sent); err != nil || len(sent.Copies) != 1 || sent.Copies[0].Peer != p.id.String() || sent.Copies[0].Outcome != "confirmed" {
				t.Errorf("%s: got %s, %v, want it confirmed by %s", text, out, err, p.id)
			}
			d := p.delivery(text)
			wantOrigin(t, text, keyOf(d.Origin), c.key, seal != "clear")
			if d.Source != c.key.NodeID() || d.Type != domainType || d.Encrypted != (seal == "encrypted") {
				t.Errorf("%s: got %+v, want type %d from %s", text, d, domainType, c.key.NodeID())
			}

			text = "theirs " + seal
			l := letter{to: "key", key: &c.key, seal: seal, messageType: domainType}
			if seal == "encrypted" {
				l.reader = &c.key
			}
			p.mustPost(l, text)
			out = c.run("listen", "--json", "--count", "1")
			var heard struct {
				From, Peer, Text string
				DHT              struct {
					Origin    string
					Type      int32
					Encrypted bool
				}
			}
			var origin identity.NodeID
			if err := json.Unmarshal(out, &heard); err != nil {
				t.Fatalf("%s: %v in %s", text, err, out)
			}
			if id, err := identity.ParseNodeID(heard.DHT.Origin); err == nil {
				origin = id
			}
			if heard.Text != text || heard.Peer != p.id.String() || heard.DHT.Type != domainType ||
				heard.DHT.Encrypted != (seal == "encrypted") || (seal != "clear") != (origin == p.id) {
				t.Errorf("%s: got %s, want type %d from %s", text, out, domainType, p.id)
			}
		}
		if bans := p.bans(); len(bans) > 0 {
			t.Errorf("got bans of %v, want none", bans)
		}
		if out := c.run("peers", "list", "--json"); !bytes.Contains(out, []byte(p.id.String())) || bytes.Contains(out, []byte("banned_until")) {
			t.Errorf("got the peers %s, want them to know %s and nobody banned", out, p.id)
		}
	})
}
