// Package view holds containers that one actor writes and any goroutine may read
// without asking the actor. Reading a Map or a Gate takes no lock; a Ring and a Log,
// which are written far more often than read, take a short one.
//
// The writer writes first and announces afterwards; a reader subscribes to the
// announcements first and reads afterwards. So no change is missed.
package view
