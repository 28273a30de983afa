package api

import (
	"errors"
	"fmt"
	"net/http"
)

// What an answer can be refused for. Errors of Client, Reader and Node match them by errors.Is.
var (
	ErrNotFound  = errors.New("not found")
	ErrForbidden = errors.New("forbidden")
	ErrInvalid   = errors.New("invalid request")
	ErrConflict  = errors.New("conflict") // with who owns the name, or with what the container does now
	ErrTooMany   = errors.New("too many watchers")
)

// What can be wrong before there is an answer.
var (
	ErrNoDaemon   = errors.New("the daemon does not answer")
	ErrPermission = errors.New("permission denied")
)

// What can be wrong after that: a connection cut, which ends every watch of a daemon that ends; and of Exit.
var (
	ErrHungUp    = errors.New("the daemon hung up")
	ErrStillHeld = errors.New("the daemon has ended, and containers may still be held")
)

// Error is an error as it travels. Suggestion is what to do about it, or empty.
type Error struct {
	Reason     string `json:"reason"` // one CamelCase word
	Message    string `json:"error"`
	Suggestion string `json:"suggestion"`
}

func (e *Error) Error() string {
	if e.Suggestion == "" {
		return e.Message
	}
	return e.Message + ": " + e.Suggestion
}

// Unwrap gives the sentinel of e's reason.
func (e *Error) Unwrap() error {
	for _, k := range kinds {
		if k.reason == e.Reason {
			return k.sentinel
		}
	}
	return nil
}

// kinds ties the three forms of a refusal together.
var kinds = []struct {
	reason   string
	status   int
	sentinel error
}{
	{"NotFound", http.StatusNotFound, ErrNotFound},
	{"Forbidden", http.StatusForbidden, ErrForbidden},
	{"Invalid", http.StatusBadRequest, ErrInvalid},
	{"Conflict", http.StatusConflict, ErrConflict},
	{"TooManyWatchers", http.StatusTooManyRequests, ErrTooMany},
}

// wire is err as it travels, with its HTTP status.
func wire(err error) (int, *Error) {
	e, ok := errors.AsType[*Error](err)
	for _, k := range kinds {
		if !errors.Is(err, k.sentinel) {
			continue
		}
		if !ok {
			e = &Error{Reason: k.reason, Message: err.Error()}
		}
		return k.status, e
	}
	return http.StatusInternalServerError, &Error{Reason: "Internal", Message: err.Error()}
}

func invalid(format string, args ...any) error {
	return &Error{Reason: "Invalid", Message: fmt.Sprintf(format, args...)}
}
