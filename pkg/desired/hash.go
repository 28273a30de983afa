package desired

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"slices"
	"strconv"
)

// Versions of what is hashed. Another version is another hash for every container, so that an upgrade of this program
// would replace them all: add fields only so that their absence changes nothing, and leave these alone.
const (
	inputVersion    = "reconciler/input/1"
	restartsVersion = "reconciler/restarts/1"

	resourcesVersion = "reconciler/resources/1"
)

// Hash identifies what an instance is made from, in hex: the absolute bundle path, the process overrides as the user gave
// them, and the bundle's config.json. Defaults and everything derived stay out, so that a new version of this program
// never changes it; neither do the layout of the manifest and of config.json, the order of keys, or an empty map in place
// of an absent one. A number keeps its text: 1 and 1.0 differ, and no digit of a big one is lost. The error says why
// config is not one JSON value.
func Hash(c Container, config []byte) (string, error) {
	tree, err := decodeConfig(config)
	if err != nil {
		return "", fmt.Errorf("config.json: %w", err)
	}
	input := map[string]any{"bundle": c.Spec.Bundle, "process": processInput(c.Spec.Process), "config": tree}
	h := canonical{sha256.New()}
	h.token('v', inputVersion)
	h.value(input)
	return h.sum(), nil
}

// WithRestarts folds the restart counter into a hash made by Hash: each restart that a user asks for makes another one. A
// counter of 0 gives the hash itself.
func WithRestarts(hash string, restarts int64) string {
	if restarts == 0 {
		return hash
	}
	h := canonical{sha256.New()}
	h.token('v', restartsVersion)
	h.token('s', hash)
	h.token('#', strconv.FormatInt(restarts, 10))
	return h.sum()
}

// HashResources identifies overrides of resources, in hex; it is empty where nothing is overridden. They have a hash of
// their own since most of them are changed while the instance runs.
func HashResources(resources json.RawMessage) string {
	if resources == nil {
		return ""
	}
	tree, err := decodeConfig(resources)
	if err != nil {
		panic(fmt.Sprintf("resources: %v", err)) // what Parse has made
	}
	h := canonical{sha256.New()}
	h.token('v', resourcesVersion)
	h.value(tree)
	return h.sum()
}

func decodeConfig(config []byte) (tree any, err error) {
	d := json.NewDecoder(bytes.NewReader(config))
	d.UseNumber()
	if err := d.Decode(&tree); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("there is more after its end")
	}
	return tree, nil
}

// processInput holds only what was given: a field that a later version adds then leaves old hashes alone.
func processInput(p Process) map[string]any {
	input := map[string]any{}
	if len(p.Args) > 0 {
		args := make([]any, len(p.Args))
		for i, arg := range p.Args {
			args[i] = arg
		}
		input["args"] = args
	}
	if len(p.Env) > 0 {
		env := map[string]any{}
		for key, value := range p.Env {
			if env[key] = nil; value != nil {
				env[key] = *value
			}
		}
		input["env"] = env
	}
	if p.Cwd != "" {
		input["cwd"] = p.Cwd
	}
	if p.Terminal != nil {
		input["terminal"] = *p.Terminal
	}
	return input
}

// canonical feeds JSON values to a hash in a form of our own: tokens with a kind and a length. The text that
// encoding/json writes is no foundation for it, since the standard library has changed its escapes before.
type canonical struct{ hash.Hash }

func (h canonical) token(kind byte, text string) {
	fmt.Fprintf(h.Hash, "%c%d:%s", kind, len(text), text)
}

// value takes what encoding/json makes with UseNumber.
func (h canonical) value(v any) {
	switch v := v.(type) {
	case nil:
		h.token('n', "")
	case bool:
		h.token('b', strconv.FormatBool(v))
	case json.Number:
		h.token('#', v.String())
	case string:
		h.token('s', v)
	case []any:
		h.token('[', strconv.Itoa(len(v)))
		for _, item := range v {
			h.value(item)
		}
	case map[string]any:
		h.token('{', strconv.Itoa(len(v)))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			h.token('k', key)
			h.value(v[key])
		}
	default:
		panic(fmt.Sprintf("canonical form of a %T", v)) // encoding/json makes nothing else
	}
}

func (h canonical) sum() string { return hex.EncodeToString(h.Sum(nil)) }
