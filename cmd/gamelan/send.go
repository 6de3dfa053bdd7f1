package main

import (
	"cmp"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/nodedir"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/outlast"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/phrases"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/client"
	"github.com/gamelan-p2p/gamelan/inspect/control"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/protocol"
)

type sendCmd struct {
	Peer    *string       `arg:"" peer:"" optional:"" help:"A name; a public key, for which the node searches if it does not know it; the id of a known node; or ${seed}. With --to or --strategy this argument is a message like the others."`
	Message []string      `arg:"" optional:"" help:"Messages to send; without any, each line of standard input is one."`
	Whole   bool          `help:"Send all of standard input, of any bytes, as one message."`
	File    string        `help:"Send the content of a file as one message, of at most 8 MiB, over the DHT ${dht_body} bytes; - is standard input." type:"path" placeholder:"PATH"`
	Timeout time.Duration `help:"Give a message up that has no outcome after this time; the search for its receiver counts. With --retry: end when the peer was away for this time. Default: none, but over the DHT ${dht_limit}, which is the most there, and ${store_limit} with --store for a receiver that is away." placeholder:"TIME"`
	Retry   bool          `help:"While the peer cannot be reached, stop reading messages and send those that have failed for it again, until the peer is back. ${resends}"`
	Resend  bool          `help:"Send a message again when it is in doubt because a connection broke; a node of another make may get it twice. Messages over the DHT are always sent again."`
	Kept    bool          `help:"Confirmed means: the inbox of the other node has the message on the disk. The other node takes it once."`
	Handled bool          `help:"Confirmed means: a program there has handled the message. The other node takes it once."`
	Topic   string        `help:"Give the messages a topic: they go to the handler of that topic alone, or to gamelan listen --topic. Without --kept, confirmed means that it has handled them." placeholder:"WORD"`
	Quiet   bool          `short:"q" help:"Do not write the outcome of each message."`

	NoResend bool   `help:"Send no message again that is in doubt: each arrives at most once."`
	To       string `help:"Send over the DHT, to the holder of this public key. A name or KEY::ADDRESS is possible, too, as for PEER; the node remembers that address." placeholder:"KEY"`
	Strategy string `help:"Send over the DHT, to these peers: ${strategies}. Default: direct." placeholder:"STRATEGY"`
	Encrypt  bool   `help:"Over the DHT: only the holder of the key can read the message, and learns its author."`
	Clear    bool   `help:"Over the DHT: do not encrypt a message for the holder of a key, although other nodes chosen by the strategy can read it."`
	Sign     bool   `help:"Over the DHT: sign the message, so that every reader learns its author. An encrypted message is always signed, for its receiver alone."`
	Store    bool   `help:"Over the DHT: if the receiver is not connected, send the message to nodes near it, which may store it until the receiver is back. It is encrypted. Needs --to."`
	Type     *int32 `help:"Over the DHT: the type of the messages, which determines their handler at the receiver. Default: ${text_type}, text." placeholder:"N"`
	Tag      string `help:"Over the DHT: give the messages this tag, up to 16 hexadecimal digits. Every node that they reach can show what becomes of them: gamelan trace message TAG." placeholder:"TAG"`
}

// resends is what becomes of messages in doubt with --retry.
const resends = "What is in doubt goes again to nodes of this library, and may arrive twice. With --resend it goes to other nodes, too, with --no-resend to none."

// Help returns the text of gamelan send --help below the flags.
func (*sendCmd) Help() string {
	return givenHelp + "\n\nSend a file with --file PATH and receive it with gamelan listen --raw --count 1 > PATH. Send the output of a program with --whole.\n\n" +
		"Confirmed means that the other node has read the message, not that a program there has handled it: for that there is --handled. " +
		"An orderly stop loses no confirmed message of a node with an inbox. A node without one can lose about 2 MiB of each peer and protocol, " +
		"and more if one message is larger than 1 MiB. Its log counts what is lost. For a kill -9 see gamelan listen --help.\n\n" +
		"With --kept and --handled the exit code is 7 if messages are in doubt and none has failed.\n\n" + dhtSendHelp
}

func (c *sendCmd) Run(a *app) error {
	err := c.run(a)
	if e, ok := errors.AsType[*client.Error](err); a.interrupted(err) && !(ok && e.Begun) {
		return failure.New(client.CodeInterrupted, "nothing was sent", "interrupted")
	}
	return err
}

func (c *sendCmd) run(a *app) error {
	if c.File == "-" { // as for other commands that take a file
		c.File, c.Whole = "", true
	}
	if err := c.name(a); err != nil {
		return err
	}
	if err := c.check(); err != nil {
		return err
	}
	if c.File != "" {
		f, err := os.Open(c.File)
		if err != nil {
			return failure.New("file", "choose another one", "%s cannot be read: %s", c.File, failure.Reason(err))
		}
		defer f.Close()
		if err := c.checkFile(f); err != nil {
			return err
		}
		a.in, c.Whole = f, true
	}
	if c.overDHT() {
		return c.runDHT(a)
	}
	return c.runPlain(a)
}

// runPlain sends plain messages.
func (c *sendCmd) runPlain(a *app) error {
	if c.Timeout > 0 {
		a.wait = min(a.wait, c.Timeout)
	}
	in, show := c.input(a), render.NewOutcomes(a.Output, c.Quiet, c.outcome())
	a.tellConnected(*c.Peer)
	found, waits := followReceiver(a, *c.Peer), tellWaiting(a, c.lookPlain(a, in))
	on := answers[models.Sent](a, show, found, waits)
	s := client.Sending{Peer: *c.Peer, Resend: c.Resend, Outcome: c.outcome(), Topic: c.Topic, Timeout: c.Timeout, AtOnce: len(c.Message) > 0 || c.File != ""}
	if c.Retry && s.Outcome != "" { // the node waits for the peer, so that no message gets another id
		s.Until = cmp.Or(c.Timeout, forEver)
	}
	var err error
	if c.Retry {
		err = outlast.Retry(a.ctx, a.client(), outlast.Sending{Sending: s, NoResend: c.NoResend}, in, on, c.tellAway(a, waits))
	} else {
		err = outlast.Send(func(each func(models.Sent, bool) error) error { return a.client().SendAll(a.ctx, s, in, each) }, in, on)
	}
	found()
	waits.stop()
	switch {
	case a.interrupted(err) && c.outcome() != "" && show.OnlyInDoubt():
		f := phrases.Of(err, a.dir, a.patience)
		f.Code = failure.ExitInDoubt
		return f
	case err != nil:
		return err
	case !show.AllConfirmed():
		if show.Refused() > 0 {
			key, _, _ := strings.Cut(*c.Peer, "::")
			a.Note("%s", overDHTHint(a, key))
		}
		if show.TurnedAway() {
			a.Note("Next: see with \"gamelan peers\" on the other node whether it has banned this one, and with \"gamelan peers admitted\" there whether it admits others alone; \"gamelan unban\" and \"gamelan peers admit\" there let this one in.")
		}
		if show.NotAdmitted() {
			key, _, _ := strings.Cut(*c.Peer, "::")
			a.Note("Next: let it in with \"%s\".", a.Command("peers admit "+key))
		}
		if show.Unreached() {
			a.noteUnreached(*c.Peer, show.Misaddressed())
		}
		if c.outcome() != "" && show.OnlyInDoubt() {
			return errInDoubt
		}
		return errQuiet
	}
	return nil
}

// forEver is how long a message waits without a limit.
const forEver = 365 * 24 * time.Hour

// outcome is what confirmed means; empty: that the message was read.
func (c *sendCmd) outcome() string {
	switch {
	case c.Kept:
		return inspect.OutcomeKept
	case c.Handled, c.Topic != "":
		return inspect.OutcomeHandled
	}
	return ""
}

// shower shows the outcomes of messages.
type shower[T any] interface {
	Add(s T, more bool) error
	Rest(read uint64, why string) error
	End() error
}

// answers shows outcomes, and says in words why the node has ended.
func answers[T any](a *app, show shower[T], found func(), waits *waitTeller) outlast.Answers[T] {
	return outlast.Answers[T]{
		Each: func(s T, more bool) error {
			found()
			waits.report()
			return show.Add(s, more)
		},
		End: func() error {
			waits.stop()
			return show.End()
		},
		Rest: func(read uint64, because error) error {
			return show.Rest(read, phrases.Of(because, a.dir, a.patience).Message)
		},
	}
}

// name replaces names of peers by their keys.
func (c *sendCmd) name(a *app) (err error) {
	if c.To, err = a.named(c.To); err != nil || c.overDHT() || c.Peer == nil {
		return err
	}
	peer, err := a.named(*c.Peer)
	c.Peer = &peer
	return err
}

// checkFile refuses a file that cannot be sent, before any of it is read.
func (c *sendCmd) checkFile(f *os.File) error {
	most := uint64(inspect.DefaultMaxBody)
	if c.overDHT() {
		most = control.MaxDHTBody
	}
	switch info, err := f.Stat(); {
	case err != nil:
		return nil //nolint:nilerr // reading will report it
	case info.IsDir():
		return failure.New("file", "choose another one", "%s is a directory", c.File)
	case info.Mode().IsRegular() && uint64(info.Size()) > most:
		return failure.New("file", "send it in parts", "%s has %s bytes, and a message at most %s", c.File, inspect.Number(uint64(info.Size())), inspect.Number(most))
	}
	return nil
}

// check refuses likely mistakes, above all a message that is the name of a file.
func (c *sendCmd) check() error {
	if c.overDHT() {
		if err := c.checkDHT(); err != nil {
			return err
		}
	} else if err := c.checkPlain(); err != nil {
		return err
	}
	switch {
	case c.Kept && c.Handled:
		return failure.Usage("leave one of them out", "--kept waits for the disk of the other node, --handled for its program")
	case c.outcome() != "" && c.NoResend:
		return failure.Usage("leave --no-resend out", "a message with --kept, --handled or --topic may be sent again, and the other node takes it once")
	case c.Resend && c.NoResend:
		return failure.Usage("leave one of them out", "--resend sends what is in doubt again, --no-resend does not")
	case c.Timeout < 0:
		return failure.Usage("give a positive duration, such as 30s", "--timeout cannot be %s", c.Timeout)
	case c.Whole && c.File != "":
		return failure.Usage("leave one of them out", "--whole sends standard input, --file a file")
	case c.Whole && len(c.Message) > 0:
		return failure.Usage("leave one of them out", "--whole sends standard input, not arguments")
	case c.File != "" && len(c.Message) > 0:
		return failure.Usage("leave one of them out", "--file sends a file, not arguments")
	}
	for _, m := range c.Message {
		if strings.Contains(m, "\n") {
			return failure.Usage("send it with --whole from standard input", "a message on the command line is one line")
		}
		if info, err := os.Stat(m); err == nil && info.Mode().IsRegular() {
			return failure.Usage("send its content with --file "+nodedir.Quote(m)+", or the name itself from standard input", "%q is the name of a file", m)
		}
	}
	return nil
}

func (c *sendCmd) checkPlain() error {
	switch {
	case c.Encrypt || c.Clear || c.Sign || c.Type != nil || c.Tag != "":
		return failure.Usage("name the receiver with --to KEY", "--encrypt, --clear, --sign, --type and --tag are for messages over the DHT")
	case c.Peer == nil || *c.Peer == "":
		return failure.Usage("name a peer, or use --to KEY for a message over the DHT", "no recipient")
	}
	return cmp.Or(checkTopic(c.Topic), api.CheckPeer(*c.Peer))
}

// checkTopic returns an error unless messages may have that topic, or it is empty.
func checkTopic(topic string) error {
	if topic != "" && protocol.CheckTopic(topic) != nil {
		return failure.Usage("take 1 to 64 bytes without control characters", "%q is no topic", topic)
	}
	return nil
}

// input returns the messages to send: the arguments, or standard input.
func (c *sendCmd) input(a *app) *client.Input {
	if !c.Whole && len(c.Message) > 0 {
		return client.NewInput(strings.NewReader(strings.Join(c.Message, "\n")+"\n"), false)
	}
	return client.NewInput(a.in, c.Whole)
}

// overDHTHint returns a hint how to reach a peer that accepts no plain messages.
func overDHTHint(a *app, key string) string {
	how := a.Command("send --to " + key)
	if d, err := a.client().DHT(a.ctx); err == nil && !d.On {
		return "If the peer has the DHT: start this node with the DHT, too (dht.enabled = true, and no --no-dht), then " + how
	}
	return "If the peer has the DHT: " + how
}
