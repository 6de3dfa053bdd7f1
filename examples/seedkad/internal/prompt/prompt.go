// Package prompt is the prompt of seedkad -repl: the verbs of the demonstration of the program
// that the key-value DHT began as (spec: kad A2, B14).
package prompt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/kad/seed"
)

const help = `connect <multiaddr>   ask the node there for peers, for instance connect /ip4/192.0.2.7/udp/12345
save <key> <value>    store a value here and at the nodes nearest to its key
query <key>           show the value of a key
status                show how many peers are known
help                  show this
Quotes keep blanks together: save "my key" "my value". The end of the input stops the node.
`

// verbLimit is how long a verb may take.
const verbLimit = time.Minute

// maxLine is the longest line that is read, in bytes: a key, and the longest value that can be
// sent.
const maxLine = 1 << 20

// stopLimit is how long the node may take to stop.
const stopLimit = 10 * time.Second

// Serve runs a node of the overlay Seed with a socket at the multiaddr listen, and carries out the
// verbs that come from in, until the input or ctx ends. The node keeps nothing on the disk.
func Serve(ctx context.Context, listen string, in io.Reader, out io.Writer) (err error) {
	socket, err := seed.UDP(seed.UDPOptions{Listen: listen})
	if err != nil {
		return fmt.Errorf("%w; give an address such as /ip4/0.0.0.0/udp/12345", err)
	}
	s := seed.New(seed.SHA1, 0, 0, 0, 0, 0)
	if err := s.RegisterGateway(socket); err != nil {
		return err
	}
	if err := s.Start(ctx); err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
		defer cancel()
		if stopped := s.Stop(ctx); err == nil {
			err = stopped
		}
	}()
	client, err := s.Client()
	if err != nil {
		return err
	}
	for _, at := range client.Addresses() {
		if _, err := fmt.Fprintf(out, "listening on %s\n", at); err != nil {
			return err
		}
	}
	return run(ctx, in, out, s)
}

// run reads verbs from in, one in a line, and carries them out with a running service, until
// the input or ctx ends. What fails is written to out, and run goes on. The error is that of
// reading or writing.
func run(ctx context.Context, in io.Reader, out io.Writer, s *seed.Service) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	for ctx.Err() == nil && lines.Scan() {
		words, err := split(lines.Text())
		var answer string
		switch {
		case err != nil:
			answer = err.Error()
		case len(words) == 0:
			continue
		default:
			answer = verb(ctx, s, words)
		}
		if _, err := fmt.Fprintln(out, answer); err != nil {
			return err
		}
	}
	return lines.Err()
}

// arguments is how many each verb has.
var arguments = map[string]int{"help": 0, "connect": 1, "save": 2, "query": 1, "status": 0}

// verb carries a verb out, and returns what to say.
func verb(ctx context.Context, s *seed.Service, words []string) string {
	ctx, cancel := context.WithTimeout(ctx, verbLimit)
	defer cancel()
	name, args := words[0], words[1:]
	switch n, ok := arguments[name]; {
	case !ok:
		return fmt.Sprintf("unknown verb %q; try help", name)
	case len(args) != n:
		return fmt.Sprintf("%s takes %d arguments, got %d; try help", name, n, len(args))
	}
	switch name {
	case "connect":
		id, err := s.Connect(ctx, args[0])
		if err != nil {
			return failed(err)
		}
		return fmt.Sprintf("connected to %x at %s", id[:idLen(s)], inspect.Escape(args[0]))
	case "save":
		if err := s.Save(ctx, []byte(args[0]), []byte(args[1])); err != nil {
			return failed(err)
		}
		return "saved"
	case "query":
		value, err := s.Query(ctx, []byte(args[0]))
		if errors.Is(err, seed.ErrNotFound) {
			return "not found"
		}
		if err != nil {
			return failed(err)
		}
		return inspect.Escape(string(value))
	case "status":
		n, err := s.NumberOfKnownPeers()
		if err != nil {
			return failed(err)
		}
		return fmt.Sprintf("%d known peers", n)
	}
	return strings.TrimSuffix(help, "\n")
}

func failed(err error) string { return "failed: " + inspect.Escape(err.Error()) }

func idLen(s *seed.Service) int {
	c, err := s.Client()
	if err != nil {
		return len(kad.ID{})
	}
	return c.IDLen()
}

var errQuote = errors.New("a quote has no end; try help")

// split returns the words of a line. Quotes of either kind keep blanks together.
func split(line string) (words []string, err error) {
	var word strings.Builder
	quote, inside := rune(0), false
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '"' || r == '\'':
			quote, inside = r, true
		case r == ' ' || r == '\t' || r == '\r':
			if inside {
				words = append(words, word.String())
				word.Reset()
			}
			inside = false
		default:
			word.WriteRune(r)
			inside = true
		}
	}
	if quote != 0 {
		return nil, errQuote
	}
	if inside {
		words = append(words, word.String())
	}
	return words, nil
}
