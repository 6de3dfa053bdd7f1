package demo

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/inspect"
)

// demoPrinter prints the demonstration.
type demoPrinter struct{ *render.Output }

func (p *demoPrinter) nodes(d *demo) {
	if p.JSON {
		return
	}
	fmt.Fprintln(p.Out, "Three nodes in this process, talking over TCP:")
	for _, n := range d.nodes {
		fmt.Fprintf(p.Out, "  %-5s %s  %s\n", n.name, n.node.PublicKey().String()[:keyShown], n.node.Addresses()[0])
	}
	fmt.Fprintf(p.Out, "\n%s sends to %s and %s. Halfway, its connection actor to %[2]s is killed.\n", d.nodes[0].name, d.nodes[1].name, d.nodes[2].name)
}

// keyShown is how many digits of a public key are shown.
const keyShown = 16

// treeWidth is where the lines of the tree are cut, in characters.
const treeWidth = 100

// barWidth is the width of the progress bar in characters.
const barWidth = 40

// progress draws a bar on a terminal until stop is called. If the output is no terminal, it
// writes only the last bar.
func (p *demoPrinter) progress(total uint64, done func() uint64) (stop func()) {
	if p.JSON {
		return func() {}
	}
	over := make(chan struct{})
	var wg sync.WaitGroup
	if p.Moves() {
		wg.Go(func() {
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			for {
				_ = render.Control(p.Out, "\r"+bar(done(), total))
				select {
				case <-tick.C:
				case <-over:
					_ = render.Control(p.Out, "\r")
					return
				}
			}
		})
	}
	return func() {
		close(over)
		wg.Wait()
		fmt.Fprintln(p.Out, bar(done(), total))
	}
}

func bar(done, total uint64) string {
	full := int(min(done, total) * barWidth / total)
	return fmt.Sprintf("[%s%s] %s of %s", strings.Repeat("█", full), strings.Repeat("░", barWidth-full), inspect.Number(done), inspect.Number(total))
}

// result prints the result. It returns an error when a guarantee did not hold.
func (p *demoPrinter) result(r *demoResult) error {
	tell := p.story
	if p.JSON {
		tell = func(r *demoResult) error { return p.PrintJSON(r) }
	}
	if err := tell(r); err != nil {
		return err
	}
	if r.Crash.New == "" {
		return failure.New("demo", "see the tree above for the missing actor", "the connection was not made again")
	}
	if !r.Bug.right() {
		return failure.New("demo", "this is a bug: please report it with the tree above", "the handler of %s was restarted %d times after one panic", r.Sender, r.Bug.Restarts)
	}
	for _, c := range r.Peers {
		if !c.right() {
			return failure.New("demo", "this is a bug: please report it with the figures above", "the outcomes of the messages to %s are wrong", c.Name)
		}
	}
	if !r.Away.right() {
		return failure.New("demo", "this is a bug: please report it with the figures of `gamelan demo --json`, which say what each node stored and asked for",
			"%s got %d of %d messages, %d of them twice; %d copies were written to neighbours", r.Away.Name, r.Away.Received, r.Away.Sent, r.Away.Twice, r.Away.Copies)
	}
	return nil
}

func (p *demoPrinter) story(r *demoResult) error {
	out := p.Out
	fmt.Fprintf(out, "\nKilled    %s\nHealed    %s, %s later\n", p.path(r.Crash.Killed), p.path(r.Crash.New), r.Crash.After.Round(100*time.Microsecond))
	fmt.Fprintln(out, "\nEvery message has exactly one outcome:")
	rows := [][]string{{"  TO", "SENT", "CONFIRMED", "IN DOUBT", "FAILED", "RECEIVED", "TWICE", "OUT OF ORDER", "CONFIRMED BUT LOST"}}
	sent := 0
	for _, c := range r.Peers {
		sent += c.Sent
		row := []string{"  " + c.Name}
		for _, n := range []int{c.Sent, c.Confirmed, c.InDoubt, c.Failed, c.Received, c.Twice, c.Disordered, c.Missing} {
			row = append(row, inspect.Number(uint64(n)))
		}
		rows = append(rows, row)
	}
	if err := p.Table(rows); err != nil {
		return err
	}
	fmt.Fprintln(out, "In doubt: written, but the connection ended before the proof that it was read.")
	fmt.Fprintf(out, "\n%s sent %s a message on which its handler, an actor like yours, panics. It was restarted,\nand had handled the next message %s later.\n",
		r.Peers[0].Name, r.Sender, r.Bug.After.Round(100*time.Microsecond))
	fmt.Fprintf(out, "\n%s's actors, healed:\n", r.Sender)
	p.PeersNamed(r.Tree.Branches)
	var tree strings.Builder
	if err := inspect.Text(&tree, r.Tree, inspect.TextOptions{Colour: p.Colour(), Width: treeWidth}); err != nil {
		return err
	}
	if err := render.Styled(out, tree.String()); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nFigures\n  paced       %s messages in %s, the crash included\n", inspect.Number(uint64(sent)), r.Took.Round(10*time.Millisecond))
	fmt.Fprintf(out, "  outcomes    half of them within %s\n", r.Median.Round(10*time.Microsecond))
	fmt.Fprintf(out, "  full speed  %s more to %s in %s: %s a second\n", inspect.Number(uint64(r.Burst.Messages)), r.Peers[1].Name,
		r.Burst.Took.Round(time.Millisecond), inspect.Number(uint64(float64(r.Burst.Messages)/r.Burst.Took.Seconds())))
	fmt.Fprintf(out, "  handshake   %s: wire byte, Noise, identities\n", r.Handshake.Round(10*time.Microsecond))
	fmt.Fprintf(out, "  all nodes   %s of heap, %d goroutines\n", size(r.Heap), r.Goroutines)
	a := &r.Away
	fmt.Fprintf(out, "\n%s went away. %s wrote it %d messages, encrypted; %d copies were written to neighbours that may store them.\n",
		a.Name, r.Sender, a.Sent, a.Copies)
	fmt.Fprintf(out, "Back, %s got %d of %d within %s, %d of them twice.\n", a.Name, a.Received, a.Sent, a.After.Round(10*time.Millisecond), a.Twice)
	return nil
}

// path returns the path of an actor as the tree prints it, below the node's system of actors.
func (p *demoPrinter) path(full string) string {
	_, path, _ := strings.Cut(full, "/")
	return p.ActorNamed(path)
}

func size(n uint64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
