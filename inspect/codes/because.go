package codes

import "strings"

// said is how a cause of a failed dial is said, everywhere alike.
type said struct {
	brief    string // in a table
	sentence string // {who} is the address that was tried, {why} what the error adds
}

var causes = map[*Code]said{
	DialRefused:    {"connection refused", "{who} refuses connections"},
	DialProhibited: {"refused by a firewall", "{who}: {why}"},
	DialForbidden:  {"forbidden here", "this machine forbids connections to {who}"},
	FilesGone:      {"no file left", "this process has no free file for a connection to {who}"},
	DialNoAnswer:   {"no answer", "no answer from {who}"},
	DialNoRoute:    {"no route", "no route to {who}"},
	DialUnresolved: {"name not resolved", "the name is not resolved: {who}"},
	DialProxy:      {"the proxy fails", "the proxy does not work: {why}"},
	DialOtherKey:   {"another node answers", "another node answers at {who}, {why}"},
	DialForeign:    {"another protocol", "{who} speaks another protocol"},
	DialMute:       {"silent", "{who} takes the connection, and says nothing in time"},
	DialHungUp:     {"hung up", "{who} closed the connection before the handshake: {why}"},
	DialSecret:     {"hung up", "{who} closed the connection before the handshake: {why}"},
	DialTurnedAway: {"turned away", "{who} has proven its key, and then refused the connection"},
	DialBanned:     {"banned", "{why}"},
	DialUnlisted:   {"not admitted", "{why}"},
	DialExcluded:   {"excluded", "{why}"},
	DialNoAddress:  {"no address", "{who}: {why}"},
	DialNoPort:     {"no port here", "{why}"},
	DialFailed:     {"failed", "{who}: {why}"},
}

// Because says why a peer was not reached, in a sentence without its full stop. who is the address that was
// tried, or what the peer is, and why the text of the error. A code of something else says why.
func (c *Code) Because(who, why string) string {
	s := causes[c].sentence
	switch {
	case c == DialOtherKey && why == "":
		s = strings.TrimSuffix(s, ", {why}")
	case s == "":
		s = "{why}"
	}
	return Fill(s, map[string]string{"who": who, "why": why})
}

// Brief says why a peer was not reached in two or three words, for a table. It is empty for a code of
// something else.
func (c *Code) Brief() string { return causes[c].brief }
