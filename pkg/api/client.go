package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"reconciler.dev/reconciler/pkg/desired"
)

// Limits of one answer.
const (
	answerTimeout = 30 * time.Second // until its first byte
	maxAnswer     = 256 << 20        // of JSON
)

// Client asks a daemon over its socket. It may be used from several goroutines at once.
//
// Besides what the daemon refuses (ErrNotFound, ErrForbidden, ErrInvalid, ErrConflict), its errors are ErrNoDaemon when nobody
// listens on the socket, and ErrPermission when the socket may not be used.
type Client struct {
	socket string
	http   http.Client
}

var _ Reading = (*Client)(nil)

// NewClient makes a Client of the socket at path. It does not connect yet.
func NewClient(path string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
	return &Client{socket: path, http: http.Client{
		Transport: &http.Transport{DialContext: dial, ResponseHeaderTimeout: answerTimeout, IdleConnTimeout: idleTimeout / 2},
	}}
}

// Close closes connections that are kept for later requests.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// Containers implements Reading.
func (c *Client) Containers(ctx context.Context) (List[Container], error) {
	return ask[List[Container]](ctx, c, http.MethodGet, "/v1/containers")
}

// Brief implements Reading.
func (c *Client) Brief(ctx context.Context) (List[Container], error) {
	short, err := ask[List[brief]](ctx, c, http.MethodGet, "/v1/containers?brief=true")
	list := List[Container]{Items: make([]Container, len(short.Items)), Problems: short.Problems}
	for i := range short.Items {
		list.Items[i] = short.Items[i].container()
	}
	return list, err
}

// Container implements Reading.
func (c *Client) Container(ctx context.Context, name string) (*Container, error) {
	return ask[*Container](ctx, c, http.MethodGet, containerPath(name))
}

// Exits implements Reading.
func (c *Client) Exits(ctx context.Context, name string) (List[Exit], error) {
	return ask[List[Exit]](ctx, c, http.MethodGet, containerPath(name)+"/exits")
}

// Events implements Reading. A limit of 0, or beyond the daemon's own, is the daemon's own.
func (c *Client) Events(ctx context.Context, after uint64, limit int) (List[Event], error) {
	q := url.Values{"after": {strconv.FormatUint(after, 10)}, "limit": {strconv.Itoa(limit)}}
	return ask[List[Event]](ctx, c, http.MethodGet, "/v1/events?"+q.Encode())
}

// Sources implements Reading.
func (c *Client) Sources(ctx context.Context) ([]Source, error) {
	l, err := ask[List[Source]](ctx, c, http.MethodGet, "/v1/sources")
	return l.Items, err
}

// Logs implements Reading.
func (c *Client) Logs(ctx context.Context, name string, o LogOptions) (*Log, error) {
	q := url.Values{
		"attempt":  {strconv.Itoa(o.Attempt)},
		"previous": {strconv.FormatBool(o.Previous)},
		"tail":     {strconv.Itoa(o.Tail)},
	}
	r, err := c.do(ctx, http.MethodGet, containerPath(name)+"/logs?"+q.Encode(), nil)
	if err != nil {
		return nil, err
	}
	return &Log{r.Header.Get(instanceHeader), r.Body}, nil
}

// NodeState implements Reading.
func (c *Client) NodeState(ctx context.Context) (NodeState, error) {
	return ask[NodeState](ctx, c, http.MethodGet, "/v1/node")
}

// Plan returns what the daemon would do now; nothing when all is settled.
func (c *Client) Plan(ctx context.Context) ([]PlanLine, error) {
	l, err := ask[List[PlanLine]](ctx, c, http.MethodGet, "/v1/plan")
	return l.Items, err
}

// Version returns the daemon's version.
func (c *Client) Version(ctx context.Context) (Version, error) {
	return ask[Version](ctx, c, http.MethodGet, "/v1/version")
}

// containerPath is empty for what is no name: "", "." and ".." would make another path of it.
func containerPath(name string) string {
	if !desired.ValidName(name) {
		return ""
	}
	return "/v1/containers/" + name
}

// ask reads one JSON answer.
func ask[T any](ctx context.Context, c *Client, method, path string) (T, error) {
	return askWith[T](ctx, c, method, path, nil)
}

// askWith is ask with a body, which is JSON or nil.
func askWith[T any](ctx context.Context, c *Client, method, path string, body []byte) (T, error) {
	var answer T
	r, err := c.do(ctx, method, path, body)
	if err != nil {
		return answer, err
	}
	defer r.Body.Close()
	switch err := json.NewDecoder(io.LimitReader(r.Body, maxAnswer)).Decode(&answer); {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return answer, c.explain(ctx, err)
	case err != nil:
		return answer, fmt.Errorf("%s %s: read the daemon's answer: %w", method, path, err)
	}
	return answer, nil
}

// do returns a successful answer, whose body the caller closes.
func (c *Client) do(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	if !strings.HasPrefix(path, "/v1/") {
		return nil, invalid("a container's name is 1 to 63 of a-z, 0-9 and dash, with no dash at either end")
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://reconciler"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r, err := c.http.Do(request)
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	if r.StatusCode < 300 {
		return r, nil
	}
	defer r.Body.Close()
	refusal := new(Error)
	if err := json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(refusal); err != nil || refusal.Message == "" {
		return nil, fmt.Errorf("%s %s: the daemon at %s answered %s", method, path, c.socket, r.Status)
	}
	return nil, refusal
}

// explain turns the failure to get any answer into one that says what to do.
func (c *Client) explain(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		// The chain ends here: a broken pipe of the daemon's is not one of ours.
		return fmt.Errorf("%w at %s (%v): try again", ErrHungUp, c.socket, cause(err))
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w at %s (%w): start it with `reconciler run`", ErrNoDaemon, c.socket, cause(err))
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: may not use %s: become root or, to read, a member of the group %s", ErrPermission, c.socket, Group)
	case errors.Is(err, syscall.EINVAL) && len(c.socket) >= maxSocketPath:
		return fmt.Errorf("ask the daemon at %s: %w", c.socket, errPathTooLong)
	}
	return fmt.Errorf("ask the daemon at %s: %w", c.socket, cause(err))
}

// cause is err without the URL, which nobody typed, and without the socket, which is named already.
func cause(err error) error {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}
