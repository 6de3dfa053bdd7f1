package models

import "time"

// Kad is the content of the section "kad": the clients of the key-value DHT.
type Kad struct {
	Summary string      `json:"summary"` // in one sentence
	Clients []KadClient `json:"clients"`
}

// KadClient is one client. Counts are since its start.
type KadClient struct {
	Name      string   `json:"name"`
	ID        string   `json:"id"`
	Overlay   string   `json:"overlay"`           // native or seed
	Mode      string   `json:"mode"`              // server or client
	State     string   `json:"state"`             // idle, bootstrapping, ready or isolated
	Trouble   string   `json:"trouble,omitempty"` // why records cannot be written to the disk
	Networks  []string `json:"networks"`
	Addresses []string `json:"addresses"`
	Contacts  int      `json:"contacts" metric:"kad_contacts" help:"Contacts in the routing tables of the clients of the key-value DHT."`
	Buckets   int      `json:"buckets"`

	// The client's store may not answer in time. These are nil then.
	Records *int `json:"records,omitempty" metric:"kad_records" help:"Records of the key-value DHT that are stored for others."`
	Cached  *int `json:"cached,omitempty"` // of these
	Bytes   *int `json:"bytes,omitempty" metric:"kad_bytes" help:"Bytes of the records of the key-value DHT that are stored for others."`
	Own     *int `json:"own,omitempty" metric:"kad_own_records" help:"Records that the clients of the key-value DHT publish."`

	Lookups    uint64 `json:"lookups" metric:"kad_lookups_total" help:"Lookups in the key-value DHT."`
	Found      uint64 `json:"found" metric:"kad_found_total" help:"Lookups in the key-value DHT that found a value."`
	Failed     uint64 `json:"failed"` // lookups whose actor failed
	Shared     uint64 `json:"shared"` // callers that joined a lookup under way
	Asked      uint64 `json:"asked"`  // contacts asked by lookups
	Hops       uint64 `json:"hops"`   // of the lookups that found a value, together
	Puts       uint64 `json:"puts" metric:"kad_puts_total" help:"Values that were put into the key-value DHT."`
	Partial    uint64 `json:"partial" metric:"kad_partial_puts_total" help:"Values put into the key-value DHT that fewer nodes than the quorum accepted."`
	Published  uint64 `json:"published"`
	Replicated uint64 `json:"replicated"`

	Requests    map[string]KadRequests `json:"requests"` // by verb
	BytesIn     uint64                 `json:"bytes_in" metric:"kad_traffic_bytes_total" with:"direction=in" help:"Bytes of packets of the key-value DHT."`
	BytesOut    uint64                 `json:"bytes_out" metric:"kad_traffic_bytes_total" with:"direction=out"`
	HalfLife    float64                `json:"half_life_seconds,omitempty"` // of contacts; 0: too few have left
	Malformed   uint64                 `json:"malformed"`                   // packets that could not be decoded
	Busy        uint64                 `json:"busy"`                        // packets that came while too many were in work
	Unsolicited uint64                 `json:"unwanted"`                    // answers to no request
	ClientMode  uint64                 `json:"client_mode"`                 // requests while the client served nobody
	Damaged     uint64                 `json:"damaged"`                     // entries on the disk
	Refused     map[string]uint64      `json:"refused"`                     // requests of others, by reason
}

// KadRequests are the requests of one verb.
type KadRequests struct {
	Sent     uint64 `json:"sent" metric:"kad_requests_total" help:"Requests to contacts of the key-value DHT."`
	Resent   uint64 `json:"resent"` // copies beyond the first
	Answered uint64 `json:"answered"`
	Lost     uint64 `json:"lost" metric:"kad_lost_requests_total" help:"Requests to contacts of the key-value DHT that were not answered."`
	Served   uint64 `json:"served" metric:"kad_served_requests_total" help:"Requests of others for the key-value DHT that were answered."`

	Took float64 `json:"took_seconds"` // of those answered, together
}

// KadContact is a contact of a routing table.
type KadContact struct {
	ID         string    `json:"id"`
	PublicKey  string    `json:"public_key,omitempty"`
	Addresses  []string  `json:"addresses"`
	Bucket     int       `json:"bucket"` // leading bits in common with the client's id
	SinceAt    time.Time `json:"since_at"`
	AnsweredAt time.Time `json:"answered_at"`
	RTT        float64   `json:"rtt_seconds"` // 0: not measured
	Score      int       `json:"score"`
	Failures   int       `json:"failures"` // since the last answer
}
