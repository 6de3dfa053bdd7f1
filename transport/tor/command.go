package tor

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrArgument reports an argument that a command line cannot hold.
var ErrArgument = errors.New("tor: a line break in an argument")

// Command is a line for the control port, without its end. Its String hides the arguments
// where they can be secret.
type Command string

// NewCommand joins words to a command. The error is [ErrArgument].
func NewCommand(words ...string) (Command, error) {
	c := strings.Join(words, " ")
	if strings.ContainsAny(c, "\r\n\x00") {
		return "", ErrArgument
	}
	return Command(c), nil
}

// Append appends the bytes to send.
func (c Command) Append(b []byte) []byte { return append(append(b, c...), "\r\n"...) }

// String returns the command without secrets.
func (c Command) String() string {
	word, _, more := strings.Cut(string(c), " ")
	if !more {
		return word
	}
	switch word {
	case "GETINFO", "SETEVENTS", "DEL_ONION", "PROTOCOLINFO", "SIGNAL":
		return string(c)
	}
	return word + " …"
}

// Port maps a port of an onion service to a socket of this machine.
type Port struct {
	Virtual uint16 // other than 0
	Target  string // 127.0.0.1:<port>, [::1]:<port> or unix:<path>
}

// Service is an onion service that a [Controller] keeps published.
type Service struct {
	Key    Key
	Ports  []Port // at least one
	Detach bool   // it outlives the control connection
	// MaxStreams limits the streams of one circuit; 0 is no limit.
	MaxStreams int
}

// check reports what of the service Tor would refuse, or must not get.
func (s Service) check() error {
	if s.Key.IsZero() {
		return errors.New("tor: a service without a key")
	}
	if len(s.Ports) == 0 {
		return errors.New("tor: a service without a port")
	}
	for _, p := range s.Ports {
		if p.Virtual == 0 {
			return errors.New("tor: port 0 of a service")
		}
		if !strings.HasPrefix(p.Target, "127.0.0.1:") && !strings.HasPrefix(p.Target, "[::1]:") && !strings.HasPrefix(p.Target, "unix:/") {
			return fmt.Errorf("tor: an onion service leads to %q; it must be 127.0.0.1, [::1] or a Unix socket", p.Target)
		}
		if strings.ContainsAny(p.Target, "\r\n\x00 ") {
			return ErrArgument
		}
	}
	return nil
}

// add returns the command that publishes the service.
func (s Service) add() Command {
	words := []string{"ADD_ONION", s.Key.text()}
	if s.Detach {
		words = append(words, "Flags=Detach")
	}
	if s.MaxStreams > 0 {
		words = append(words, "MaxStreams="+strconv.Itoa(s.MaxStreams))
	}
	for _, p := range s.Ports {
		words = append(words, fmt.Sprintf("Port=%d,%s", p.Virtual, p.Target))
	}
	return Command(strings.Join(words, " "))
}
