// Package rpc has what services and their callers are made of.
//
// A [Service] consists of methods. [Unary], [Stream], [ClientStream] and [BidiStream] make a method of a typed
// function, [UnaryBytes] and [StreamBytes] one of a function on bytes. [Join] puts several services under one id. A
// [Client] makes calls, with [Call], [Items], [Upload], [Exchange], [CallBytes] and [ItemsBytes]. Messages are
// protobuf messages or, as JSON, plain Go types: see [Encoding]. An error crosses the wire
// as an [Error]: a [Status] and a text. [Interceptor], [Retry] and [Metadata] are for what all calls have in common.
package rpc
