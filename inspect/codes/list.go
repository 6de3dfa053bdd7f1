package codes

import "github.com/gamelan-p2p/gamelan/inspect/models"

// The node as a whole.
var (
	Ended              = code("ended", models.Failed, "The node has ended.", "")
	Stopping           = code("stopping", models.Failed, "The node is stopping.", "")
	Draining           = code("draining", models.Degraded, "The node makes no new connections: somebody has had it drain.", "stop it when its work is done, or end the draining", "since")
	ConnectivitySilent = code("connectivity_silent", models.Failed, "The actor that keeps the node connected does not answer.", "look at it in the tree of actors")
	ActorStuck         = code("actor_stuck", models.Warning, "An actor has worked on one message for long.", "", "actor")
	ActorFailed        = code("actor_failed", models.Warning, "An actor has failed, and was not started again.", "", "actor")
	ActorPanicked      = code("actor_panicked", models.Degraded, "An actor of the node panicked on messages of peers.", "look at what it has failed on", "actor")
	OwnPanicked        = code("own_panicked", models.Degraded, "An actor, a layer or a service of the program panicked.", "look at what it has failed on", "actor")
	OwnStopped         = code("own_stopped", models.Degraded, "An actor, a layer or a service of the program has stopped after a panic.", "register it again or start the node again", "actor")
	Program            = code("program", models.Degraded, "The program that runs the node says that it does not work as it should.", "")
	FewFiles           = code("few_files", models.Warning, "The process may not have as many files open as the limits of its connections need.", "let the process open more files: ulimit -n in a shell, LimitNOFILE in a unit of systemd; or lower max_inbound")
	KeyInClear         = code("key_in_clear", models.Warning, "The wire profile sends the node's key unencrypted when it dials.", "")
	OwnIdentity        = code("own_identity", models.Degraded, "Another node uses the identity of this one.", "stop one of them, and give it a data directory of its own", "address")
	Restarting         = code("restarting", models.Degraded, "An actor of the node fails again and again, and is started again: more often in ten minutes than health.restarts.", "look at what it has failed on, and report it", "actor")
	ClockOff           = code("clock_off", models.Warning, "The clock of this machine is off, by more than health.clock_off: most connected nodes agree on another time.", "set the clock of this machine, and keep it set with NTP", "seconds")
	DiskFull           = code("disk_full", models.Degraded, "The disk of the data directory is full, or nearly: less than health.disk_free is free.", "make room on the disk, or lower health.disk_free and the limits of what is kept", "path", "free", "need")
	PeerLost           = code("peer_lost", models.Warning, "A peer is not reached while others are: the user has named it, or it was connected for long.", "look at what the node did about it, and examine the way to it", "peer", "since", "cause")
	SharedIdentity     = code("shared_identity", models.Warning, "Two nodes may use one identity.", "give each node a data directory of its own", "peer")
)

// Connections and peers.
var (
	Offline            = code("offline", models.Degraded, "The node is connected to nobody, for longer than health.offline_after.", "give it a seed that runs: node.seeds", "since", "because")
	Alone              = code("alone", models.Warning, "The node is connected to nobody, and knows no other: it is the first of its network, or has no seed.", "give other nodes its line as a seed, or give this one a seed: node.seeds", "since")
	FewNodes           = code("few_nodes", models.Degraded, "The node is connected to fewer nodes than connections.min_connected, for longer than health.offline_after.", "connect it to more nodes, or lower connections.min_connected", "since")
	SeedsSilent        = code("seeds_silent", models.Warning, "No seed has answered.", "check the seeds: node.seeds, discovery.seed_names")
	SeedNames          = code("seed_names", models.Warning, "The names of seeds give none: they are not resolved, or have no records that name one.", "check discovery.seed_names and the name server of this machine")
	Deaf               = code("deaf", models.Degraded, "Connections could not be accepted.", "")
	SourceRefused      = code("source_refused", models.Warning, "Connections from a source are refused because of offences from there.", "exempt it with connections.exempt_sources if they are yours", "source")
	SourceLimited      = code("source_limited", models.Warning, "Connections from a source were refused because it has as many as it may.", "raise it, or exempt the source with connections.exempt_sources if it is yours", "source", "setting")
	NoSecret           = code("no_secret", models.Warning, "A dialer has not the secret of the private network.", "if that machine is yours, compare the digits of both files' secrets, and give the one that is older the present file", "source", "network")
	NotAdmitted        = code("not_admitted", models.Warning, "A peer was refused because it is not admitted.", "admit its key, if it is your node", "peer", "source")
	NotReached         = code("not_reached", models.Warning, "Others cannot connect to the node: they have tried.", "open TCP port {port} in the firewall of this machine, or forward it in the router", "port")
	PrivateOnly        = code("private_only", models.Warning, "Others cannot connect to the node: all its addresses are of private networks.", "forward a port of the router to it, and set the router's address as node.public_addresses", "address")
	ListenGone         = code("listen_gone", models.Warning, "The node listens on an address that the machine has no longer.", "listen on one that it has, or on /ip4/0.0.0.0/tcp/{port}: node.listen", "address", "port")
	LoopbackOnly       = code("loopback_only", models.Warning, "The node knows peers on other machines, and listens where only its own machine can reach it.", "listen on /ip4/0.0.0.0/tcp/18189: node.listen")
	WrongPublicAddress = code("wrong_public_address", models.Warning, "Others are told an address of the settings at which nobody has reached the node; they can reach it at another one.", "set {reached} in node.public_addresses, or none", "told", "reached")
	TakesNothing       = code("takes_nothing", models.Warning, "A peer takes none of the node's messages on a protocol.", "restart that node if it is yours, else it may take them again later", "peer", "protocol")
	Undecodable        = code("undecodable", models.Warning, "A peer sends messages that cannot be decoded.", "have that node use another protocol, or ban it", "peer", "protocol")
	PeersUnwritten     = code("peers_unwritten", models.Degraded, "The peer store cannot be written.", "")
	PeersDamaged       = code("peers_damaged", models.Warning, "Records of the peer store could not be read.", "")
)

// Messages.
var (
	InboxFull       = code("inbox_full", models.Degraded, "The inbox is full, and senders wait.", "acknowledge some")
	InboxFailed     = code("inbox_failed", models.Degraded, "The inbox cannot be written or read.", "")
	InboxHigh       = code("inbox_high", models.Degraded, "The inbox is nearly full: above health.inbox_level.", "acknowledge some before senders have to wait", "percent")
	InboxDropped    = code("inbox_dropped", models.Warning, "Messages over the DHT were dropped because the inbox had no room for more of their peer or author.", "acknowledge some")
	InboxShelf      = code("inbox_shelf", models.Warning, "Messages were handed out too often and not acknowledged.", "take them off the shelf when your code is mended")
	InboxDamaged    = code("inbox_damaged", models.Warning, "Records of the inbox could not be read.", "")
	InboxUnheard    = code("inbox_unheard", models.Warning, "Messages are kept on the disk, and nobody listens.", "read them")
	InDoubt         = code("in_doubt", models.Degraded, "Of the messages sent in the last hour, more than health.in_doubt are in doubt: they may have arrived or not.", "look at the connections of those peers; messages sent with Resend, or that are to be kept or handled, are sent again", "percent", "messages")
	Unhandled       = code("unhandled", models.Warning, "Messages over the DHT were dropped because nobody handles their type.", "handle the type")
	StoredFailed    = code("stored_failed", models.Degraded, "Messages for other nodes cannot be stored, and are relayed only.", "")
	StoredFull      = code("stored_full", models.Warning, "The store of messages for other nodes is full: new ones evict those of the source with most.", "look for whom most is stored")
	TorFailed       = code("tor", models.Degraded, "Tor does not work, or peers cannot find the onion service.", "")
	KadUnwritten    = code("kad_unwritten", models.Degraded, "A client of the key-value DHT cannot write records to the disk.", "", "client")
	LogFailed       = code("log_failed", models.Degraded, "The log cannot be written.", "")
	SettingsRefused = code("settings_refused", models.Warning, "The settings were read again, and have errors: the earlier ones stay.", "")
	NeedsRestart    = code("needs_restart", models.Warning, "A setting has changed, and takes a restart.", "", "setting")
)

// Messages that a peer does not take.
var (
	PeerWithoutDHT   = code("peer_without_dht", models.Failure, "The peer runs without the DHT, and the message is one of the DHT.", "start it without NoDHT")
	PeerTakesPlain   = code("peer_takes_plain", models.Failure, "The peer runs without the DHT, and takes messages that are sent straight to it.", "start it without NoDHT, or send straight to it (Node.Send)")
	ProfileShared    = code("profile_shared", models.Failure, "This node sends messages without the DHT on the protocol that the peer uses for the DHT.", "start this node without PlainOnProfile")
	ForeignPeer      = code("foreign_peer", models.Failure, "The peer is a node of another library, and does not know the protocol of messages that are sent straight to a peer.", "send it messages of the DHT (DHT.Send), or, if it has no DHT, start this node with NoDHT and PlainOnProfile")
	ForeignPeerNoDHT = code("foreign_peer_no_dht", models.Failure, "The peer is a node of another library, and this node runs without the DHT.", "start this node without NoDHT and send it messages of the DHT (DHT.Send), or, if it has no DHT, start this node with PlainOnProfile")
)

var dials = []*Code{DialRefused, DialProhibited, DialForbidden, DialNoAnswer, DialNoRoute, DialUnresolved, DialProxy, DialOtherKey, DialForeign, DialMute, DialHungUp, DialSecret, DialTurnedAway}

// Why a peer was not reached, or has not confirmed a message.
var (
	PeerFull       = code("peer_full", models.Failure, "The peer is connected, and cannot keep messages now: its inbox cannot be written, as when its disk is full.", "make room on the disk there")
	DialRefused    = code("dial_refused", models.Failure, "Nothing listens at the address of the peer, or a firewall resets connections to it.", "check that the peer is running and listens on this address, and that no firewall refuses it")
	DialProhibited = code("dial_prohibited", models.Failure, "A firewall refuses connections to the peer.", "open the port of this address in that firewall")
	DialForbidden  = code("dial_forbidden", models.Failure, "This machine lets the program make no connection to the address of the peer: its firewall, or another rule of its system.", "allow this program to connect there, in the firewall of this machine")
	DialNoAnswer   = code("dial_no_answer", models.Failure, "Nothing comes back from the address of the peer: it is away, it hangs, or a firewall drops what is sent.", "check that the address is right and that no firewall is in between")
	DialNoRoute    = code("dial_no_route", models.Failure, "There is no way to the address of the peer.", "check the address and this machine's network")
	DialUnresolved = code("dial_unresolved", models.Failure, "The name in the address of the peer is not resolved.", "check the name and this machine's name server, or use an IP address")
	DialProxy      = code("dial_proxy", models.Failure, "The proxy of this node does not work, which says nothing of the peer.", "start the proxy, or correct its address: proxy.address")
	DialOtherKey   = code("dial_other_key", models.Failure, "Another node answers at the address of the peer.", "check the peer's key, or whether another node has taken its address")
	DialForeign    = code("dial_foreign", models.Failure, "What answers at the address of the peer speaks another protocol.", "check the port: the program that listens there may be no node")
	DialMute       = code("dial_mute", models.Failure, "The peer takes the connection, and says nothing in time.", "it may be overloaded, be stopped, or be no node; try again later")
	DialHungUp     = code("dial_hung_up", models.Failure, "The peer closed the connection before the handshake: it is busy, refuses this node, or is of another network.", "the status and the log of the other node say which it is; if it is only busy, try again later")
	DialSecret     = code("dial_secret", models.Failure, "The peer closed the connection before the handshake of a private network: its secret differs, it is busy, or it refuses this node.", "compare the files of the network on both nodes")
	DialTurnedAway = code("dial_turned_away", models.Failure, "The peer has proven its key, and then refused the connection: it has banned this node, admits only others, is full, or has another release.", "lift the ban there, or admit this node")
)

// Causes that only the doctor of a node finds. What is wrong with the health of the node stands above.
var (
	DialBanned     = code("dial_banned", models.Failure, "This node has banned the peer.", "lift the ban", "until")
	DialUnlisted   = code("dial_unlisted", models.Failure, "This node does not admit the peer.", "admit its key")
	DialExcluded   = code("dial_excluded", models.Failure, "All addresses of the peer are excluded from dialling, or are of this node itself.", "give another address of it, or change connections.exclude_dial")
	DialNoAddress  = code("dial_no_address", models.Failure, "No address of the peer is known that this node can dial.", "give its address with its key")
	DialNoPort     = code("dial_no_port", models.Failure, "This machine has no free port or address to dial from.", "close connections of this machine, or widen net.ipv4.ip_local_port_range")
	DialFailed     = code("dial_failed", models.Failure, "The connection to the peer has failed.", "look at the log of both nodes")
	PeerSilent     = code("peer_silent", models.Failure, "The peer is connected, and does not answer.", "look at the machine of the peer and the way to it; without an answer the connection is closed soon")
	ListenerSilent = code("listener_silent", models.Failure, "The node does not answer at an address on which it listens.", "look whether a firewall of this machine closes the port, and whether the process has files left", "address")
	FilesGone      = code("files_gone", models.Failure, "The process has nearly as many files open as it may.", "let the process open more files: ulimit -n in a shell, LimitNOFILE in a unit of systemd; or lower max_inbound")

	DialUnseen     = code("dial_unseen", models.Warning, "This node has dialled the peer, which has not seen the connections: something on the way drops them.", "open the port of this address in the firewall before the peer, or forward it in its router", "address")
	DialUnseenHere = code("dial_unseen_here", models.Warning, "The peer has dialled this node, which has not seen the connections: something on the way drops them.", "open the port of this address in the firewall before this node, or forward it in its router", "address")
	RefusedThere   = code("refused_there", models.Warning, "The peer has refused connections of this node, or of its IP address.", "change there what has refused them", "why")
	RefusedHere    = code("refused_here", models.Warning, "This node has refused connections of the peer, or of its IP address.", "change here what has refused them", "why")
	EndedThere     = code("ended_there", models.Warning, "The peer has ended connections with this node.", "look at the log of the peer", "why")
)
