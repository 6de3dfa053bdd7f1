// Grpc runs a gRPC server on one node and its client on another: gRPC runs over streams as it is. The
// service is gRPC's own for health; the server learns the key of each caller.
//
//	cd examples/grpc && go run .
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	pb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"

	"github.com/gamelan-p2p/gamelan"
)

const calls = "/example/grpc/1" // the protocol that carries gRPC between the two

func main() {
	log.SetFlags(0)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out io.Writer) error {
	server, err := gamelan.Start(ctx, gamelan.Config{})
	if err != nil {
		return err
	}
	defer server.Close(context.Background())
	listener, err := gamelan.Listener(ctx, server, calls)
	if err != nil {
		return err
	}
	// The peer has proved its key, and the connection is encrypted: gRPC needs no TLS of its own.
	callers := grpc.UnaryInterceptor(func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		if p, ok := peer.FromContext(ctx); ok {
			fmt.Fprintf(out, "%s is called by %s.\n", info.FullMethod, p.Addr.(gamelan.PeerAddr).Key.Short())
		}
		return next(ctx, req)
	})
	services, state := grpc.NewServer(callers), health.NewServer()
	pb.RegisterHealthServer(services, state)
	go services.Serve(listener)
	defer services.Stop()

	client, err := gamelan.Start(ctx, gamelan.Config{Listen: []string{gamelan.ListenNowhere}})
	if err != nil {
		return err
	}
	defer client.Close(context.Background())
	if _, err := client.Peers().AddSeed(ctx, server.Seed()); err != nil {
		return err
	}
	conn, err := grpc.NewClient("passthrough:///"+server.PublicKey().String(),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return client.DialContext(ctx, calls, address)
		}))
	if err != nil {
		return err
	}
	defer conn.Close()
	answer, err := pb.NewHealthClient(conn).Check(ctx, &pb.HealthCheckRequest{})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s asks: %s.\n", client.PublicKey().Short(), answer.Status)
	watch, err := pb.NewHealthClient(conn).Watch(ctx, &pb.HealthCheckRequest{})
	if err != nil {
		return err
	}
	for range 2 { // a stream of answers: what is, and what changes
		if answer, err = watch.Recv(); err != nil {
			return err
		}
		fmt.Fprintf(out, "It watches: %s.\n", answer.Status)
		state.Shutdown()
	}
	return nil
}
