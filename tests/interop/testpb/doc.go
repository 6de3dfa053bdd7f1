// Package testpb holds the messages of the service that the Tari nodes of the tests offer
// and call, generated from service.proto with
//
//	go -C tools run ./protogen -dir ../tests/interop/testpb
package testpb
