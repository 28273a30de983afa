package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"reconciler.dev/reconciler/pkg/desired"
)

// Stop, and the other verbs on a container, return once the request is durable, not once it has come to be.
func (c *Client) Stop(ctx context.Context, name string) error { return c.verb(ctx, name, "stop") }

// Start: see Stop.
func (c *Client) Start(ctx context.Context, name string) error { return c.verb(ctx, name, "start") }

// Restart: see Stop.
func (c *Client) Restart(ctx context.Context, name string) error { return c.verb(ctx, name, "restart") }

// Pause: see Stop. The error is ErrConflict for what does not run.
func (c *Client) Pause(ctx context.Context, name string) error { return c.verb(ctx, name, "pause") }

// Resume: see Stop. The error is ErrConflict for what is not paused.
func (c *Client) Resume(ctx context.Context, name string) error { return c.verb(ctx, name, "resume") }

// Kill returns once the signal, a name or a number, is sent. The error is ErrConflict if nothing runs.
func (c *Client) Kill(ctx context.Context, name, signal string) error {
	return c.verb(ctx, name, "kill?"+url.Values{"signal": {signal}}.Encode())
}

func (c *Client) verb(ctx context.Context, name, verb string) error {
	_, err := ask[struct{}](ctx, c, http.MethodPost, containerPath(name)+"/"+verb)
	return err
}

// Apply makes a container wanted, its bundle's path absolute. The error is ErrConflict for a name that a manifest's file
// owns.
func (c *Client) Apply(ctx context.Context, container desired.Container) (Applied, error) {
	manifest, err := manifestJSON(container)
	if err != nil {
		return Applied{}, err
	}
	return askWith[Applied](ctx, c, http.MethodPut, containerPath(container.Name), manifest)
}

// Delete takes back what Apply made wanted. The error is ErrConflict for a name that a manifest's file owns.
func (c *Client) Delete(ctx context.Context, name string) error {
	_, err := ask[struct{}](ctx, c, http.MethodDelete, containerPath(name))
	return err
}

// ConfirmSources: see Backend.
func (c *Client) ConfirmSources(ctx context.Context) (Confirmed, error) {
	return ask[Confirmed](ctx, c, http.MethodPost, "/v1/sources/confirm")
}

// Down holds the whole node: all is stopped until Up, or until the node boots. It returns what holds the node once that
// is durable; NodeState tells what still lives.
func (c *Client) Down(ctx context.Context, reason string) (Down, error) {
	return ask[Down](ctx, c, http.MethodPost, "/v1/node/down?"+url.Values{"reason": {reason}}.Encode())
}

// Up lifts what Down did; with a reason only if it was for that one, else the error is ErrConflict.
func (c *Client) Up(ctx context.Context, reason string) error {
	_, err := ask[struct{}](ctx, c, http.MethodPost, "/v1/node/up?"+url.Values{"reason": {reason}}.Encode())
	return err
}

// Exit has the daemon stop all containers, then the subreapers, then itself. It returns once the daemon's process is
// gone; the error is ErrStillHeld if it ended in another way, and containers may run on. When ctx ends sooner Exit
// returns, and the daemon goes on.
func (c *Client) Exit(ctx context.Context) error {
	daemon, err := c.process(ctx)
	if err != nil {
		return err
	}
	defer daemon.Close()
	if _, err := ask[struct{}](ctx, c, http.MethodPost, "/v1/node/exit"); err != nil {
		return err
	}
	if err := ended(ctx, daemon); err != nil {
		return err
	}
	// The pair removes its socket when it ends because nothing is left to hold, and only then.
	pair := filepath.Join(filepath.Dir(c.socket), "subreaper.sock")
	if _, err := os.Lstat(pair); err == nil {
		return fmt.Errorf("%w: %s is still there; its log says why", ErrStillHeld, pair)
	}
	return nil
}
