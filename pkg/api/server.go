package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"reconciler.dev/reconciler/pkg/desired"
)

// Limits of one request. Nothing that is sent to us is large; a log that is sent by us is.
const (
	maxBody       = desired.MaxFile + 1 // a manifest's parser says what is wrong with a larger one
	maxHeader     = 16 << 10
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	writeTimeout  = 30 * time.Second // of an answer, or a line of a watch; but of no log, whose reader may be a person
	idleTimeout   = time.Minute
)

// Server answers on a unix socket made by Listen.
type Server struct {
	http http.Server
	done chan struct{} // closed once Shutdown has nothing left to wait for
	once sync.Once
}

// NewServer makes a Server that asks b. It logs the requests that change something, and panics; a refusal is told to who asked.
func NewServer(b Backend, log logr.Logger) *Server {
	mux := http.NewServeMux()
	for _, r := range routes {
		mux.Handle(r.method+" "+r.path, guarded(b, r.who, r.do, log.WithValues("method", r.method)))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, &Error{Reason: "NotFound", Message: fmt.Sprintf("no route %s %s", r.Method, r.URL.Path),
			Suggestion: "client and daemon may be of different versions"})
	})
	return &Server{done: make(chan struct{}), http: http.Server{
		Handler:           mux,
		ConnContext:       withPeer,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(logr.ToSlogHandler(log.V(1)), slog.LevelInfo),
	}}
}

// Serve answers on l, which it closes, until Shutdown. It then returns nil, and not before Shutdown does: the caller may
// close what requests under way still need.
func (s *Server) Serve(l net.Listener) error {
	if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the API on %s: %w", l.Addr(), err)
	}
	<-s.done
	return nil
}

// Shutdown closes the listener and waits for the requests under way, until ctx ends: then they are cut off.
func (s *Server) Shutdown(ctx context.Context) error {
	defer s.once.Do(func() { close(s.done) })
	if err := s.http.Shutdown(ctx); err != nil {
		return errors.Join(err, s.http.Close())
	}
	return nil
}

// guarded is a route with all that is the same for every route: who may, how much, and what becomes of errors.
func guarded(b Backend, who access, do handler, log logr.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer := peerOf(r.Context())
		if !peer.may(who) {
			refuse(w, &Error{Reason: "Forbidden", Message: fmt.Sprintf("%s may not %s %s", peer, r.Method, r.URL.Path),
				Suggestion: "only root may"})
			return
		}
		defer func() {
			// net/http would contain a panic too, but the caller would be told nothing.
			if p := recover(); p == http.ErrAbortHandler {
				panic(p)
			} else if p != nil {
				log.Error(fmt.Errorf("panic: %v", p), "request failed", "url", r.URL.Path, "stack", string(debug.Stack()))
				refuse(w, errors.New("internal error; the daemon's log says more"))
			}
		}()
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		err := do(b, w, r)
		if err != nil {
			refuse(w, err)
		} else if r.Method != http.MethodGet {
			log.Info("request accepted", "url", r.URL.Path, "peer", peer.String(), "pid", peer.pid)
		}
	})
}

func refuse(w http.ResponseWriter, err error) {
	status, e := wire(err)
	_ = send(w, status, e) // an Error always marshals
}
