// Protoc-gen-gamelan is a plugin of protoc that makes a typed client and a typed server of
// each service in a .proto file. Install it, and protoc finds it:
//
//	go install github.com/gamelan-p2p/gamelan/cmd/protoc-gen-gamelan@latest
//	protoc --go_out=. --gamelan_out=. greeter.proto
//
// Peers call a method by its number, so the file says it, and the protocol id of the
// service, in comments:
//
//	// gamelan:protocol /example/greeter/1
//	// gamelan:reserved 2
//	service Greeter {
//	  // gamelan:method 1
//	  rpc Greet(Name) returns (Greeting);
//	}
//
// A number that a removed method had is reserved, so that no other method gets it.
package main

import (
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

func main() {
	protogen.Options{}.Run(func(p *protogen.Plugin) error {
		p.SupportedFeatures = uint64(pluginpb.CodeGeneratorResponse_FEATURE_PROTO3_OPTIONAL | pluginpb.CodeGeneratorResponse_FEATURE_SUPPORTS_EDITIONS)
		p.SupportedEditionsMinimum, p.SupportedEditionsMaximum = descriptorpb.Edition_EDITION_PROTO2, descriptorpb.Edition_EDITION_2023
		return generate(p)
	})
}
