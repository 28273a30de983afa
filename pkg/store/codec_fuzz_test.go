package store

import (
	"encoding/json"
	"testing"
)

// Whatever lies in a bucket, decoding it ends in an error that names it or in a record that survives another round.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`null`, `{}`, `[]`, `"x"`, ``, `{`, `{"name":"web","lastAttempt":1e400}`,
		`{"name":"web","lastAttempt":3,"attempts":[{"number":3,"instance":"web.3","process":{"pid":1}}]}`,
		`{"container":{"name":"web"},"config":null}`, `{"container":{"name":"web"},"config":{"a":[1e999]}}`,
		`{"number":1,"instance":"web.1"}`, `{"instance":"web.1","attempt":1,"exitCode":null,"startTime":-1}`,
		`{"seq":1,"time":"2026-01-02T03:04:05Z"}`, `{"override":{"state":"Stopped"},"restarts":1}`,
	} {
		f.Add([]byte(s))
	}
	one := number(1)
	f.Fuzz(func(t *testing.T, raw []byte) {
		again(t, raw, func(b []byte) (*Desired, error) { return decodeDesired("web", sealedValue(b)) })
		again(t, raw, func(b []byte) (Record, error) { return decodeRecord("web", sealedValue(b)) })
		again(t, raw, func(b []byte) (Source, error) { return decodeSource("web", sealedValue(b)) })
		again(t, raw, func(b []byte) (Verbs, error) { return decodeVerbs(sealedValue(b)) })
		again(t, raw, func(b []byte) (Attempt, error) { return decodeAttempt("web", one, sealedValue(b)) })
		again(t, raw, func(b []byte) (Exit, error) { return decodeExit("web", one, sealedValue(b)) })
		again(t, raw, func(b []byte) (Event, error) { return decodeEvent(one, sealedValue(b)) })
	})
}

func again[T any](t *testing.T, raw []byte, decode func([]byte) (T, error)) {
	v, err := decode(raw)
	if err != nil {
		if _, ok := err.(*RecordError); !ok {
			t.Errorf("%q: error of type %T", raw, err)
		}
		return
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatalf("%q was decoded but cannot be written: %v", raw, err)
	}
	w, err := decode(b)
	if err != nil {
		t.Fatalf("%q was written as %q: %v", raw, b, err)
	}
	if c, err := json.Marshal(w); err != nil || string(c) != string(b) {
		t.Fatalf("%q became %q and then %q, %v", raw, b, c, err)
	}
}

// sealedValue is a value as it lies in a file, undamaged.
func sealedValue(text []byte) value { return value{raw: append(place{}.seal(text), text...)} }
