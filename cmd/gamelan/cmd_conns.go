package main

import (
	"fmt"

	"github.com/gamelan-p2p/gamelan/inspect"
)

type connsCmd struct {
	Closed bool `help:"The connections that have ended last, and why, instead of the live ones."`
}

// Run lists connections page by page.
func (c *connsCmd) Run(a *app) error {
	state := "open"
	if c.Closed {
		state = "closed"
	}
	client := a.client()
	var all []inspect.Connection
	for {
		var page struct {
			Items []inspect.Connection
			Total int
		}
		path := fmt.Sprintf("/v1/connections?state=%s&limit=%d&offset=%d", state, inspect.MaxLimit, len(all))
		if err := client.getJSON(a.ctx, path, &page); err != nil {
			return err
		}
		all = append(all, page.Items...)
		if len(page.Items) == 0 || len(all) >= page.Total {
			return printConns(a, all, c.Closed)
		}
	}
}
