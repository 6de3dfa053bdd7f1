package tornet

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/tests/internal/signals"
	"github.com/gamelan-p2p/gamelan/transport/tor"
)

// Client is a Tor without a relay, as people run one. It is not safe for concurrent use.
type Client struct {
	process
	Control       string // host and port of the control port
	Socks         string // of a SOCKS port as Tor has it by default
	SocksExtended string // of one with the flag ExtendedErrors
	Cookie        string // the file with the cookie for the control port
}

// Name returns the name of the client: c1, c2 and so on.
func (c *Client) Name() string { return c.name }

// Terminate asks Tor to end, as a service manager does, and waits until it has.
func (c *Client) Terminate() { c.stop() }

// Kill ends Tor without a chance to tell its network.
func (c *Client) Kill() { c.kill() }

// Pause stops Tor without closing anything: for its peers it is silent. Resume makes it go on.
func (c *Client) Pause() { c.signal(signals.Stop) }

// Resume ends a Pause.
func (c *Client) Resume() { c.signal(signals.Resume) }

// Start starts Tor again, after Terminate or Kill. It does not wait; see [Client.Ready].
func (c *Client) Start() error { return c.start() }

// Ready waits until Tor can build circuits.
func (c *Client) Ready(ctx context.Context) error {
	for {
		if lines, err := c.Ask("GETINFO status/bootstrap-phase status/circuit-established"); err == nil {
			if text := strings.Join(lines, "\n"); strings.Contains(text, "PROGRESS=100") && strings.Contains(text, "circuit-established=1") {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("tornet: waiting for %s: %w: %s", c.name, context.Cause(ctx), c.lastWords())
		case <-time.After(step / 4):
		}
	}
}

// Ask sends one command over a control connection of its own and returns the lines of the
// answer, each with the data below it. An answer other than 250 is an error.
func (c *Client) Ask(command string) ([]string, error) {
	cookie, err := os.ReadFile(c.Cookie)
	if err != nil {
		return nil, err
	}
	conn, err := net.DialTimeout("tcp4", c.Control, 10*time.Second)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return nil, err
	}
	r := tor.NewReader(conn)
	var lines []string
	for _, line := range []string{"AUTHENTICATE " + hex.EncodeToString(cookie), command} {
		if _, err := fmt.Fprintf(conn, "%s\r\n", line); err != nil {
			return nil, err
		}
		reply, err := r.Read()
		if err == nil {
			err = reply.Err()
		}
		if err != nil {
			return nil, err
		}
		lines = lines[:0]
		for _, l := range reply.Lines {
			lines = append(lines, strings.Join(append([]string{l.Text}, l.Data...), "\n"))
		}
	}
	return lines, nil
}
