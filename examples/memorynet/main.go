// Memorynet runs a network in one process and shows how it finds itself: a seed, nodes that
// know only the seed, and wallets that know one node each. The nodes find their neighbours,
// a newcomer joins, the wallets join and search for each other, news spreads, and a wallet
// that was away gets the letters that others have stored for it. The program ends with exit
// code 1 when a phase misses its goal:
//
//	go run github.com/gamelan-p2p/gamelan/examples/memorynet -html memorynet.html
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/gamelan-p2p/gamelan/examples/memorynet/lab"
)

func main() {
	log.SetFlags(0)
	nodes := flag.Int("nodes", 40, "number of nodes besides the seed")
	wallets := flag.Int("wallets", 5, "number of wallets, which are clients")
	seed := flag.Uint64("seed", 1, "another seed makes other identities")
	tcp := flag.Bool("tcp", false, "connect over TCP on loopback instead of in memory")
	limit := flag.Duration("limit", 30*time.Second, "how long a phase may take")
	html := flag.String("html", "", "file for a page with the network and the newcomer's join; none if empty")
	flag.Parse()
	bars := newBars(os.Stdout)
	l, err := lab.New(lab.Config{Nodes: *nodes, Wallets: *wallets, Random: *seed, TCP: *tcp, Limit: *limit, Progress: bars.show})
	if err != nil {
		log.Fatal(err)
	}
	ok, err := run(l, bars, *html)
	if err != nil {
		log.Fatal(err)
	}
	if !ok {
		os.Exit(1)
	}
}

// run runs the network, and reports whether every phase has reached its goal.
func run(l *lab.Lab, bars *bars, html string) (ok bool, err error) {
	defer l.Close()
	r, err := l.Run(context.Background())
	bars.end()
	if err != nil {
		return false, err
	}
	fmt.Println()
	if err := r.Text(os.Stdout); err != nil {
		return false, err
	}
	if html != "" {
		page, err := r.Page()
		if err != nil {
			return false, err
		}
		if err := os.WriteFile(html, page, 0o644); err != nil {
			return false, err
		}
		fmt.Printf("\nThe network is drawn in %s.\n", html)
	}
	return r.OK(), nil
}
