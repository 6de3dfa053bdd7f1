// Package table is the routing table of the key-value DHT: which nodes a node knows, near
// ones completely and distant ones by example.
//
// A [Table] gets events, such as an answer or a failure of a contact, and returns effects,
// such as a contact to probe. It has no clock and no goroutine. Readers use an
// [overlay.View], which never changes.
//
// Only contacts that have answered are in the table. A contact that answers keeps its place
// against every newcomer, so nobody can push out the nodes of an honest network; newcomers
// wait among the replacements of their bucket until a contact fails. Limits for each network
// of addresses keep one operator from filling the table.
//
// spec: kad B3, B4
package table
