// Package protocol holds the values that every layer above shares: protocol
// ids, networks, the wire [Profile], the substream interface, outcomes of
// sends, and violations with the ban each is worth.
//
// The codecs are in packages of their own: protocol/frame, negotiate,
// identify and address. All of them are pure: they start no goroutine, read
// no clock and open no socket. Those that block do so in the reader or
// writer they were given, on their caller's goroutine.
package protocol
