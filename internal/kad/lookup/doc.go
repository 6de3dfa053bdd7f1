// Package lookup finds the nodes nearest to a target in the key-value DHT, and values: it
// asks the nearest nodes that are known for nearer ones, until nothing nearer is left.
//
// A [Lookup] is one search. It gets events, such as an answer, and returns effects, such as
// a contact to ask. It has no clock, no goroutine and no randomness: the same events at the
// same times have the same effects.
//
// A search for nodes ends when the k nearest contacts that have not failed have all
// answered (the strict end), so its result contains only nodes that are there. A contact
// that is slow gives its slot to another, and is waited for all the same if it is among the
// nearest. A search for a value ends earlier, with the first copy of a value that cannot
// change, or when enough holders agree on the newest version of one that can.
//
// spec: kad B7
package lookup
