// Package keep is the [kad.Keeper] that keeps what a client must not forget in the node's
// store (spec: kad B12): the records that it stores for others, those that it publishes, its
// contacts, and in the overlay Seed its id.
//
// A node without a data directory uses it over a store in memory.
//
// Each client has its own range of keys, which follows from its overlay and its name. Each
// record, publication and contact is one entry, so that whatever moment ends the process,
// none is half there. The order of expiry and the quotas are made anew from the records at
// each start. docs/kad.md says what is promised to users.
package keep
