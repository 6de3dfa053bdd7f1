// Package nativewire holds the messages of the overlay Native, version 1 (spec: kad B11): protocol
// buffers in frames, on a substream of the protocol [Protocol].
//
// A frame is four bytes with the length, big-endian (package internal/protocol/frame), at most
// [MaxFrame], and one message. One side of a substream sends requests and the other one
// answers them, in any order. What they hold is
//
//	Request   1 id  2 timeout in ms  4 read only  and one of
//	          10 Ping      { 1 date of the claim of yours that I have }
//	          11 FindNode  { 1 target  2 how many }
//	          12 FindValue { 1 key  2 how many  3, 4 seq and expiry of what I have }
//	          13 Store     { 1 Record  3 cached  4 life in s }
//	Response  1 id  2 status  3 retry after, in ms  4 detail  5 Nodes  6 Record  8 life in s  9 my own Node
//	Record    1 kind  2 key  3 value  4 algorithm  5 public key  6 salt  7 seq  8 expires, in Unix seconds  9 flags  10 signature
//	Node      1 public key  2 addresses  3 features  5 signature: the claim of spec: comms 7
//
// Fields with other numbers are ignored; 14 and 15 of a Request, and 7 of a Response, are
// kept for later. Messages are encoded by hand: fields ascend, and zeros are left out, as
// the known messages have them.
package nativewire
