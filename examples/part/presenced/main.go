// Presenced runs a node with a presence: see package presence. The file presence.toml of the data
// directory has the settings of the node, and those of the presence in the section [presence].
//
//	go run ./presenced -dir zoe
//	gamelan show presence --data-dir zoe
//	gamelan do presence set status=busy --data-dir zoe
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"

	"example.org/presence"
	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/config"
	"github.com/gamelan-p2p/gamelan/inspect/control"
)

func main() {
	log.SetFlags(0)
	dir := flag.String("dir", "node", "data directory")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, stop, *dir); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, stop func(), dir string) error {
	file, err := config.Load([]string{filepath.Join(dir, "presence.toml")}, os.Environ())
	if err != nil {
		return err
	}
	own := "here"
	if section, ok := file.Rest["presence"].(map[string]any); ok && section["status"] != nil {
		own = fmt.Sprint(section["status"])
	}
	file.Config.DataDir = dir
	node, err := gamelan.Start(ctx, file.Config, presence.With(own))
	if err != nil {
		return err
	}
	defer node.Close(context.Background())
	api, err := control.Serve(dir, node.Inspection().Options, control.Actions(node, control.Options{Shutdown: stop}), slog.Default())
	if err != nil {
		return err
	}
	defer api.Close(context.Background())
	fmt.Println(node.Seed())
	<-ctx.Done()
	return nil
}
