package main

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/cmd/protoc-gen-gamelan/testdata/greeter"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// polite serves the generated service.
type polite struct{ forgotten []string }

func (p *polite) Greet(_ context.Context, in *greeter.Name) (*greeter.Greeting, error) {
	if in.Name == "" {
		return nil, rpc.Errorf(rpc.BadRequest, "whom?")
	}
	return &greeter.Greeting{Text: "Hello, " + in.Name}, nil
}

func (p *polite) GreetAll(_ context.Context, in *greeter.Name) iter.Seq2[*greeter.Greeting, error] {
	return func(yield func(*greeter.Greeting, error) bool) {
		for _, word := range []string{"Hello", "Salut", "Ciao"} {
			if !yield(&greeter.Greeting{Text: word + ", " + in.Name}, nil) {
				return
			}
		}
	}
}

func (p *polite) GreetCrowd(_ context.Context, in iter.Seq2[*greeter.Name, error]) (*greeter.Greeting, error) {
	var names []string
	for name, err := range in {
		if err != nil {
			return nil, err
		}
		names = append(names, name.Name)
	}
	return &greeter.Greeting{Text: "Hello, " + strings.Join(names, " and ")}, nil
}

func (p *polite) Meet(ctx context.Context, in iter.Seq2[*greeter.Name, error]) iter.Seq2[*greeter.Greeting, error] {
	return func(yield func(*greeter.Greeting, error) bool) {
		for name, err := range in {
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(p.Greet(ctx, name)) {
				return
			}
		}
	}
}

func (p *polite) Forget(_ context.Context, in *greeter.Name) (*greeter.Name, error) {
	p.forgotten = append(p.forgotten, in.Name)
	return in, nil
}

func names(list ...string) iter.Seq2[*greeter.Name, error] {
	return func(yield func(*greeter.Name, error) bool) {
		for _, name := range list {
			if !yield(&greeter.Name{Name: name}, nil) {
				return
			}
		}
	}
}

// TestUse calls the generated service from the generated client, between two nodes.
func TestUse(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		server := new(polite)
		to, from := net.Start(gamelan.Config{}, gamelan.WithService(greeter.NewGreeterService(server))), net.Start(gamelan.Config{})
		net.Connect(from, to)
		client := greeter.NewGreeterClient(from.RPC().Client(to.ID(), greeter.GreeterProtocol))
		ann := &greeter.Name{Name: "Ann"}
		if got, err := client.Greet(t.Context(), ann); err != nil || got.Text != "Hello, Ann" {
			t.Errorf("got %v, %v", got, err)
		}
		if _, err := client.Greet(t.Context(), &greeter.Name{}); !errors.Is(err, rpc.BadRequest) || !strings.Contains(err.Error(), "whom?") {
			t.Errorf("got %v, want a bad request", err)
		}
		var all []string
		for item, err := range client.GreetAll(t.Context(), ann) {
			if err != nil {
				t.Fatal(err)
			}
			if all = append(all, item.Text); len(all) == 2 {
				break
			}
		}
		if strings.Join(all, "; ") != "Hello, Ann; Salut, Ann" {
			t.Errorf("got %q, want the first two", all)
		}
		if got, err := client.GreetCrowd(t.Context(), names("Ann", "Ben")); err != nil || got.Text != "Hello, Ann and Ben" {
			t.Errorf("got %v, %v", got, err)
		}
		err := client.Meet(t.Context(), func(d *rpc.Duplex[greeter.Name, greeter.Greeting]) error {
			for _, name := range []string{"Ann", "Ben"} {
				if err := d.Send(&greeter.Name{Name: name}); err != nil {
					return err
				}
				if got, err := d.Receive(); err != nil || got.Text != "Hello, "+name {
					t.Errorf("got %v, %v", got, err)
				}
			}
			if err := d.Send(&greeter.Name{}); err != nil {
				return err
			}
			_, err := d.Receive()
			return err
		})
		if !errors.Is(err, rpc.BadRequest) {
			t.Errorf("got %v, want a bad request", err)
		}
		if got, err := client.Forget(t.Context(), ann); err != nil || got.Name != "Ann" || len(server.forgotten) != 1 {
			t.Errorf("got %v, %v, forgotten %q", got, err, server.forgotten)
		}
	})
	numbers := map[string]uint32{}
	for _, m := range greeter.NewGreeterService(new(polite)).Methods {
		numbers[m.Name()] = m.Number()
	}
	if numbers["Greet"] != 1 || numbers["GreetAll"] != 3 || numbers["Forget"] != 4 || len(numbers) != 5 {
		t.Errorf("got numbers %v, want those of the file", numbers)
	}
}
