// Package models has what the inspector's sections of a node contain, and what its
// API answers about messages: the node itself, its peers, connections, sends and the
// DHT. All of it is written as JSON. The generic half of the inspector (actors,
// sections, HTTP) is in package inspect.
package models
