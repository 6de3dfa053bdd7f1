package overlay

import "time"

// StoreLimits are the limits of what a node stores for others.
type StoreLimits struct {
	MaxLife   time.Duration // that is granted to a record; tombstones live until they expire
	Total     StoreQuota
	Publisher StoreQuota // of one signing key
	Peer      StoreQuota // of one peer or address that stores here; at most a sixteenth of Total
	Group     StoreQuota // of one group of IP addresses; at most a quarter of Total
}

// StoreQuota bounds records and their bytes. A record counts with the length of all its
// fields, and 256 bytes.
type StoreQuota struct {
	Records int
	Bytes   int
}

// Rate allows PerSecond units a second on average, and Burst at once.
type Rate struct {
	PerSecond, Burst float64
}

// Rates are the limits of one gateway. A rate whose Burst is 0 is no limit.
type Rates struct {
	Requests Rate // of a source
	Unproven Rate // … whose address is not proven
	Stores   Rate // STOREs of a source, which count as requests as well
	Group    Rate // requests of all sources in one group of IP addresses
	Total    Rate // requests of all sources
	Out      Rate // bytes that are sent to a source in answers

	Penalty time.Duration // how long a source is ignored
	Entries int           // how many sources and groups are remembered
}
