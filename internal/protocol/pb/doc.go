// Package pb holds the protobuf messages of the wire, generated from the .proto files
// in its directory. Only the codecs of these messages should use it.
package pb

//go:generate go -C ../../tools run ./protogen
