package api

import (
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
)

// A daemon that is killed in the middle of an answer has hung up, as one that is killed before it.
func TestHalfAnAnswer(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "sock")
	l, err := Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"items": [{"metadata": `)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	c := NewClient(socket)
	if _, err := c.Brief(t.Context()); !errors.Is(err, ErrHungUp) {
		t.Errorf("half an answer: %v", err)
	}
	if err := errors.Join(c.Close(), server.Close()); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}
