package tornet

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// Votes. Until there is a consensus the authorities vote every first; the offset is chosen so
// that the first vote is soon after their start. Later votes are far apart, since after each
// the relays keep 30 to 60 MiB more.
const (
	first    = 30 // s
	later    = 900
	voting   = 2 // s, and as long to publish the result
	loopback = "127.0.0.1"
)

// writeSettings writes all torrc, with the first vote at a moment.
func (n *Network) writeSettings(vote time.Time) error {
	for name, text := range map[string]string{
		"resolv.conf": fmt.Sprintf("nameserver %s\noptions timeout:1 attempts:1\n", n.options.DNS), "geoip": "",
		"bandwidths": n.bandwidths(time.Now()),
	} {
		if err := os.WriteFile(n.path(name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	common := n.common()
	for _, r := range n.relaying() {
		lines := append(common, n.relayLines(r)...)
		if r.authority() {
			lines = append(lines, n.authorityLines(r, vote)...)
		}
		if err := r.write(lines); err != nil {
			return err
		}
	}
	for _, c := range n.Clients {
		if err := c.write(append(common, c.lines()...)); err != nil {
			return err
		}
	}
	return nil
}

// write writes the torrc.
func (p *process) write(lines []string) error {
	lines = append(lines, "DataDirectory "+p.path("data"), "Log notice file "+p.path("log"))
	if err := os.MkdirAll(p.path("data"), 0o700); err != nil {
		return err
	}
	for name, text := range map[string]string{"torrc": strings.Join(lines, "\n") + "\n", "none": ""} {
		if err := os.WriteFile(p.path(name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// common returns what all have. The slice has no room, so that appending copies it.
func (n *Network) common() []string {
	lines := []string{
		"TestingTorNetwork 1",
		fmt.Sprintf("__OwningControllerProcess %d", os.Getpid()), // Tor ends when this process does
		"RunAsDaemon 0", "SafeLogging 0", "LogTimeGranularity 1",
		"GeoIPFile " + n.path("geoip"), "GeoIPv6File " + n.path("geoip"),
		"NumCPUs 1", "MaxMemInQueues 256 MB", "AvoidDiskWrites 1", "ShutdownWaitLength 1 seconds",
		"Schedulers KISTLite", "PathsNeededToBuildCircuits 0.67",
		// What Tor learns on loopback are tiny limits, which a loaded machine misses.
		"LearnCircuitBuildTimeout 0", "CircuitBuildTimeout 30",
	}
	for _, a := range n.authorities {
		lines = append(lines, fmt.Sprintf("DirAuthority %s orport=%d no-v2 v3ident=%s %s:%d %s",
			a.name, a.orPort, a.voter, loopback, a.dirPort, a.fingerprint))
	}
	return slices.Clip(lines)
}

func (n *Network) relayLines(r *relay) []string {
	policy := []string{"ExitRelay 0", "ExitPolicy reject *:*"}
	if r.exit {
		// A policy that names 127.0.0.0/8 alone counts as one that rejects everything.
		// The address that it connects from keeps the exit on this machine.
		policy = []string{"ExitRelay 1", "ExitPolicy accept *:*"}
	}
	return append([]string{
		"Nickname " + r.name, "Address " + loopback, "OutboundBindAddress " + loopback,
		fmt.Sprintf("ORPort %s:%d IPv4Only", loopback, r.orPort), "SocksPort 0", "ContactInfo none", "AssumeReachable 1",
		"BandwidthRate 1 GBytes", "BandwidthBurst 1 GBytes",
		"ServerDNSResolvConfFile " + n.path("resolv.conf"), "ServerDNSDetectHijacking 0", "ServerDNSTestAddresses", "ServerDNSAllowBrokenConfig 1",
	}, policy...)
}

func (n *Network) authorityLines(r *relay, vote time.Time) []string {
	var exits []string
	for _, r := range n.relays {
		if r.exit {
			exits = append(exits, "$"+r.fingerprint)
		}
	}
	seconds := func(name string, n int) string { return fmt.Sprintf("%s %d seconds", name, n) }
	return []string{
		"AuthoritativeDirectory 1", "V3AuthoritativeDirectory 1", fmt.Sprintf("DirPort %s:%d", loopback, r.dirPort),
		"V3BandwidthsFile " + n.path("bandwidths"),
		"AuthDirSharedRandomness 0", // the directories of a service stay the same
		seconds("TestingV3AuthInitialVotingInterval", first),
		seconds("TestingV3AuthInitialVoteDelay", voting),
		seconds("TestingV3AuthInitialDistDelay", voting),
		seconds("TestingV3AuthVotingStartOffset", int((vote.Unix()+2*voting)%first)),
		seconds("V3AuthVotingInterval", later),
		seconds("V3AuthVoteDelay", voting),
		seconds("V3AuthDistDelay", voting),
		"V3AuthNIntervalsValid 60", "TestingMinExitFlagThreshold 0",
		"TestingDirAuthVoteGuard *", "TestingDirAuthVoteHSDir *",
		"TestingDirAuthVoteExit " + strings.Join(exits, ","), "TestingDirAuthVoteExitIsStrict 1",
	}
}

// bandwidths says in the form of Tor's bandwidth scanners that all relays are equally fast. Without
// it those that have just started have the bandwidth 0, but for one, by chance: every client then
// builds circuits from that relay to that relay, which the one between them refuses. What
// authorities have measured does not count for themselves, so they are used when no relay is left.
func (n *Network) bandwidths(now time.Time) string {
	const kilobytes = 1000
	var b strings.Builder
	fmt.Fprintln(&b, now.Unix())
	for _, r := range n.relays {
		fmt.Fprintf(&b, "node_id=$%s bw=%d\n", r.fingerprint, kilobytes)
	}
	return b.String()
}

func (c *Client) lines() []string {
	return []string{
		// With so few relays a path over fixed vanguards often comes back to the relay before.
		"VanguardsLiteEnabled 0",
		"ClientOnly 1", "ConnectionPadding 0", "CircuitPadding 0", "DormantCanceledByStartup 1", "FetchUselessDescriptors 0",
		"SocksPort " + c.Socks, "SocksPort " + c.SocksExtended + " ExtendedErrors",
		"ControlPort " + c.Control, "CookieAuthentication 1", "CookieAuthFile " + c.Cookie,
	}
}
