// Package view holds the read-only snapshots that one actor writes and anybody
// may read without asking: values out, one writer. Reading a Map or a Gate takes no
// lock; a Ring and a Log, which change far more often than anybody looks, take a
// short one.
//
// The writer writes first and announces afterwards; a reader subscribes to the
// announcements first and reads afterwards. So no change is missed.
package view
