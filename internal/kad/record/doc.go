// Package record makes the records of the key-value DHT, checks them, and says which of
// two is the newer one (spec: kad B8).
//
// A record of the overlay Native proves itself: its key is the hash of its value, or the
// hash of the public key that signed it. So it does not matter who hands it out, and
// everybody checks it: who stores it, who reads it, and who passes it on. [Check] does
// that, and [Verified] remembers for which records it was done. A record of the overlay
// Seed proves nothing.
//
// [Compare] is a total order of the mutable records under one key. All nodes therefore
// end with the same record, in whatever order they receive them.
package record
