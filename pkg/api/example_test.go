package api_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"reconciler.dev/reconciler/pkg/api"
)

// Why is a container not running?
func ExampleClient() {
	c := api.NewClient("/run/reconciler/reconciler.sock")
	defer c.Close()
	web, err := c.Container(context.Background(), "web")
	switch {
	case errors.Is(err, api.ErrNoDaemon):
		log.Fatal("it is down: ", err)
	case err != nil:
		log.Fatal(err)
	case web.Status.PID == nil && web.Status.LastExit != nil:
		fmt.Println(web.Status.Phase, "since", web.Status.LastExit.FinishedAt)
	}
}

// Tell of each container that comes to run, over restarts of the daemon.
func ExampleClient_Follow() {
	c := api.NewClient("/run/reconciler/reconciler.sock")
	defer c.Close()
	away := func(err error) { log.Print("waiting: ", err) }
	for change, err := range c.Follow(context.Background(), nil, away) {
		switch {
		case err != nil:
			log.Fatal(err)
		case change.Object != nil && change.Type != api.Deleted && change.Object.Status.PID != nil:
			fmt.Println(change.Object.Metadata.Name, *change.Object.Status.PID)
		}
	}
}
