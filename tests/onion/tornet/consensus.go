package tornet

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	// step is the time between two looks at what changes by itself.
	step = 200 * time.Millisecond
	// hearing is the time that authorities have to agree on all relays, once one has a consensus.
	hearing = 4 * time.Second
)

// firstConsensus starts authorities and relays, and reports whether the authorities agree on
// all of them at the first vote, which comes lead after now. On a loaded machine they may not.
func (n *Network) firstConsensus(ctx context.Context, lead time.Duration) (bool, error) {
	for _, r := range n.relaying() {
		if err := r.forget(); err != nil {
			return false, err
		}
	}
	if err := n.writeSettings(time.Now().Add(time.Second + lead)); err != nil {
		return false, err
	}
	for _, r := range n.relaying() {
		if err := r.start(); err != nil {
			return false, err
		}
	}
	var since time.Time
	for {
		known := 0
		for _, a := range n.authorities {
			switch listed := a.consensus(ctx); {
			case !slices.ContainsFunc(n.relaying(), func(r *relay) bool { return !listed[r.name] }):
				known++
			case listed != nil && since.IsZero():
				since = time.Now()
			}
		}
		switch {
		case known == len(n.authorities):
			return true, nil
		case !since.IsZero() && time.Since(since) > hearing:
			return false, nil
		}
		if err := n.pause(ctx, "the authorities' consensus"); err != nil {
			return false, err
		}
	}
}

// forget removes all state but the keys, so that no old consensus is met.
func (r *relay) forget() error {
	entries, err := os.ReadDir(r.path("data"))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != "keys" {
			if err := os.RemoveAll(r.path("data", e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// consensus returns the names of the running relays in this authority's consensus, without those
// that authorities have not measured; nil when it has none.
func (r *relay) consensus(ctx context.Context) map[string]bool {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s:%d/tor/status-vote/current/consensus", loopback, r.dirPort), nil)
	if err != nil {
		return nil
	}
	answer, err := direct.Do(request)
	if err != nil {
		return nil
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil
	}
	listed := map[string]bool{}
	name, authority := "", false
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		switch words := strings.Fields(lines.Text()); {
		case len(words) > 1 && words[0] == "r":
			name = words[1]
		case len(words) > 0 && words[0] == "s" && slices.Contains(words, "Running") && slices.Contains(words, "Valid"):
			listed[name] = true
			authority = slices.Contains(words, "Authority")
		case slices.Contains(words, "Unmeasured=1") && !authority: // the line w, behind the line s
			delete(listed, name)
		}
	}
	return listed
}

// direct asks without the proxy that the environment may name, and for the text as it is: Tor
// has compressions that package http does not know.
var direct = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}

// fetch makes the relays fetch the consensus at once: a client that asks one without it waits 10 s.
func (n *Network) fetch() {
	for _, r := range n.relays {
		r.signal(syscall.SIGHUP)
	}
}

// pause waits a step, and returns an error when a process has ended or there is no time left.
func (n *Network) pause(ctx context.Context, what string) error {
	select {
	case <-ctx.Done():
		return fmt.Errorf("tornet: waiting for %s: %w", what, context.Cause(ctx))
	case <-time.After(step):
	}
	for _, p := range n.processes() {
		if p.cmd != nil && !p.runs() {
			return fmt.Errorf("tornet: %s has ended: %s", p.name, p.lastWords())
		}
	}
	return nil
}
