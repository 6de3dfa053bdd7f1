package daemon

import (
	"errors"
	"strings"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/socks"
)

// torOf says on which side of Tor the last dial of a peer has failed; "" if it has not, or did
// not go through a proxy.
func torOf(n *gamelan.Node, history gamelan.PeerHistory) string {
	if len(history.Attempts) == 0 {
		return ""
	}
	s, _ := n.Tor()
	return torSentence(history.Attempts[len(history.Attempts)-1].Err, s.Trouble())
}

// torSentence tells a Tor of this machine that is broken from an onion service that is away.
// trouble is what is known to be wrong with this machine's Tor, in a sentence; "" is nothing.
func torSentence(err error, trouble string) string {
	failed, proxied := errors.AsType[*socks.Error](err)
	dial, _ := errors.AsType[*transport.DialError](err)
	switch {
	case !proxied || dial == nil:
		return ""
	case dial.Stage == transport.StageProxy:
		return strings.TrimSpace("The last dial did not get beyond this machine: it is the Tor or the proxy here that does not work, not the peer. " + trouble)
	case failed.Cause == socks.CauseNotPublished, failed.Cause == socks.CauseIntroduction, failed.Cause == socks.CauseRefused:
		return "Tor works here: it was asked, and could not reach the peer. It is the peer, or the peer's Tor, that is away."
	case failed.Cause == socks.CauseTimeout && trouble != "":
		return "Tor gave no answer, and it is the one here that has a trouble, whatever the peer has. " + trouble
	case failed.Cause == socks.CauseTimeout:
		return "Tor runs here and gave no answer in time: the peer's Tor may have ended without a word, or the network is slow."
	}
	return ""
}
