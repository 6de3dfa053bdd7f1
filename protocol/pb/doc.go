// Package pb holds the protobuf messages of the wire, generated from the
// .proto files beside it. Only their codecs should use it.
package pb

//go:generate go -C ../../tools run ./protogen
