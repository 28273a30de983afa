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
