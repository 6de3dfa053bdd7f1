package render

import (
	"testing"

	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// TestStatusInPlainWords has no word that only the code explains.
func TestStatusInPlainWords(t *testing.T) {
	calm := models.Places{Inbound: 1, MaxInbound: 500, MaxSetups: 100, MaxSetupRate: 120}
	busy := calm
	busy.Setups, busy.Refused, busy.TooFast, busy.Waited, busy.Preempted, busy.Replaced, busy.OtherNetwork = 4, 9, 3, 2, 5, 1, 6
	for got, want := range map[string]string{
		placesText(calm): "1 of at most 500 connections; 0 of at most 100 being set up",
		placesText(busy): "1 of at most 500 connections; 4 of at most 100 being set up; 9 refused; 3 of them because their source began over 120 in a minute; 2 of unknown peers had to wait; 5 given up in their set-up for newer ones; 1 closed while idle for newer ones; 6 refused because they were of another network",
		new(Output).connectionsText(&models.Node{Held: 2, Outbound: 2}, 1, ""):                        "2 connections: 2 outbound, 0 inbound; 1 of them silent, see gamelan conns",
		new(Output).connectionsText(&models.Node{Held: 1, Outbound: 1}, 0, ""):                        "1 connection: 1 outbound, 0 inbound",
		new(Output).connectionsText(&models.Node{Held: 3, Inbound: 1, Outbound: 2, Wanted: 2}, 0, ""): "3 connections: 2 outbound, 1 inbound; the node keeps 2 protected peers connected",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestWordsOfTheCommand(t *testing.T) {
	for in, want := range map[string]string{
		"it runs without the DHT; start it without NoDHT":                                   "it runs without the DHT; start it without --no-dht",
		"start that node without PlainOnProfile, or this one with NoDHT and PlainOnProfile": "start that node without --plain-on-profile, or this one with --no-dht and --plain-on-profile",
		"give that node a handler (WithHandler), and the same PlainID as this one":          "give that node a handler, and the same --node-plain-protocol as this one",
		"dial peer 0011: dial /ip4/127.0.0.1/tcp/1: connection refused":                     "no connection to 0011: /ip4/127.0.0.1/tcp/1: connection refused",
		"dial failed: dial peer 0011: at /ip4/127.0.0.1/tcp/1: set-up with aabb failed at key: peer has another key: " + otherKey + ", want " + bobKey + "; check the peer's key":                                                                                                      "no connection to 0011: /ip4/127.0.0.1/tcp/1: another node answers there, with the key " + otherKey + "; check the peer's key",
		"set-up with aabb failed at key: peer has another key: " + otherKey + ", want " + bobKey:                                                                                                                                                                                       "another node answers there, with the key " + otherKey,
		"no connection: dial peer 0011: at /ip6/::1/tcp/1: set-up failed at wire byte: peer hung up":                                                                                                                                                                                   "no connection to 0011: /ip6/::1/tcp/1: set-up failed: peer hung up",
		"dial peer 0011: at /ip4/127.0.0.1/tcp/1: set-up failed at noise: noise: read handshake message 2: carries a payload: 18516 bytes, want 96; this looks like another protocol: the program that listens there may be no Gamelan or Tari node":                                   "no connection to 0011: /ip4/127.0.0.1/tcp/1: it speaks another protocol: the program that listens there may be no Gamelan or Tari node",
		"dial peer 0011: dial /dns4/a.invalid/tcp/1: name not resolved: dial tcp4: lookup a.invalid on 10.0.0.1:53: no such host; check the name":                                                                                                                                      "no connection to 0011: /dns4/a.invalid/tcp/1: name not resolved: no such host; check the name",
		"dial peer 0011: all 2 given addresses failed, the last one: dial /ip4/127.0.0.1/tcp/1: connection refused; check it; 1 known address failed as well: dial /ip6/::1/tcp/2: i/o timeout":                                                                                        "no connection to 0011: all 2 given addresses failed, the last one: /ip4/127.0.0.1/tcp/1: connection refused; check it; 1 known address failed as well: /ip6/::1/tcp/2: i/o timeout",
		"dial peer 0011: dial /a: refused; check that the peer is running and listens on this address, and that no firewall refuses it; 1 known address failed as well: dial /b: refused; check that the peer is running and listens on this address, and that no firewall refuses it": "no connection to 0011: /a: refused; 1 known address failed as well: /b: refused; check that the peer is running and listens on this address, and that no firewall refuses it",
		"dial peer 0011: no address of the peer is known":                                                         "no connection to 0011: no address of the peer is known",
		"the peer is unknown or banned; add it with an address, or set Discover of the strategy to search for it": "the peer is unknown or banned; add it with an address, or search for it with gamelan discover KEY",
	} {
		if got := Plain(in); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
