// Queue is a queue of jobs without a broker. Kill any of its programs at any time: no job is lost, and
// none has its effect twice.
//
//	go run ./examples/queue -dir worker                        # works, and writes KEY::ADDRESS
//	go run ./examples/queue -to KEY::ADDRESS -jobs 1000        # sends jobs, and ends when all are kept
//
// The worker keeps a job in its inbox before the producer hears that it is kept. Its node deletes the job
// when work has returned nil. After a kill it hands out again what was in hand, with the same id and a
// higher Attempt. A producer that was killed sends all its jobs again, and those have new ids. So work does
// each job under a name of the job's own: here, a file.
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
	"time"

	"github.com/gamelan-p2p/gamelan"
)

func main() {
	log.SetFlags(0)
	dir := flag.String("dir", "worker", "directory of the worker's node, and of what it has done")
	to := flag.String("to", "", "send jobs to this worker, KEY::ADDRESS")
	jobs := flag.Int("jobs", 1000, "how many jobs to send")
	name := flag.String("name", "job", "how their names begin, which no other producer has")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	slog.SetLogLoggerLevel(slog.LevelWarn)
	var err error
	if *to == "" {
		err = work(ctx, *dir)
	} else {
		err = produce(ctx, *to, *jobs, *name)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// work runs a worker until ctx ends.
func work(ctx context.Context, dir string) error {
	done := filepath.Join(dir, "done")
	if err := os.MkdirAll(done, 0o700); err != nil {
		return err
	}
	node, err := gamelan.Start(ctx, gamelan.Config{DataDir: dir},
		gamelan.WithInbox(gamelan.InboxConfig{}),
		gamelan.WithMessages(func(_ context.Context, m gamelan.Message) error {
			fmt.Println(m.From.Short(), m.ID, m.Attempt, string(m.Body))
			// A file that is there already has the same content: this is the job once more.
			return os.WriteFile(filepath.Join(done, fmt.Sprintf("job-%x", m.Body)), m.Body, 0o600)
		}))
	if err != nil {
		return err
	}
	log.Println(node.Seed())
	<-ctx.Done()
	return node.Close(context.Background())
}

// produce sends jobs to a worker, and waits until all of them are kept. While the worker is away they wait.
func produce(ctx context.Context, to string, jobs int, name string) error {
	node, err := gamelan.Start(ctx, gamelan.Config{Listen: []string{gamelan.ListenNowhere}})
	if err != nil {
		return err
	}
	defer node.Close(context.Background())
	worker, err := node.Peers().AddSeed(ctx, to)
	if err != nil {
		return err
	}
	pending := make([]*gamelan.Pending[gamelan.Outcome], jobs)
	for i := range pending {
		body := fmt.Appendf(nil, "%s-%d", name, i)
		if pending[i], err = node.Submit(ctx, worker, body, gamelan.Kept(), gamelan.Until(time.Hour)); err != nil {
			return err
		}
	}
	for i, p := range pending {
		if err := p.Wait(ctx).AsError(); err != nil {
			return fmt.Errorf("job %d: %w", i, err)
		}
	}
	fmt.Println(jobs, "jobs are kept")
	return nil
}
