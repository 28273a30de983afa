package desired

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Size is a number of bytes. Its JSON is a string with the greatest binary unit that divides it, as manifests have it.
type Size int64

// units as Kubernetes has them: binary ones, and decimal ones that are a letter alone.
var units = []struct {
	name  string
	bytes int64
}{
	{"Ti", 1 << 40}, {"Gi", 1 << 30}, {"Mi", 1 << 20}, {"Ki", 1 << 10},
	{"T", 1e12}, {"G", 1e9}, {"M", 1e6}, {"k", 1e3}, {"", 1},
}

func (s Size) String() string {
	for _, u := range units[:4] {
		if s > 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

func (s Size) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

func (s *Size) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	n, ok := parseSize(text)
	if !ok {
		return fmt.Errorf("%q is no size", text)
	}
	*s = Size(n)
	return nil
}

// parseSize reads a whole number of bytes with a unit or without.
func parseSize(s string) (bytes int64, ok bool) {
	for _, u := range units {
		number, has := strings.CutSuffix(s, u.name)
		if !has || !decimal(number) {
			continue
		}
		n, err := strconv.ParseInt(number, 10, 64)
		return n * u.bytes, err == nil && n <= math.MaxInt64/u.bytes
	}
	return 0, false
}

func (v value) size(least, most Size) (Size, bool) {
	if !v.is(yaml.ScalarNode) {
		return 0, false
	}
	n, ok := parseSize(v.Value)
	switch {
	case !ok:
		v.fail("%s is no size: write a whole number with a unit (Ki, Mi, Gi; k, M, G) such as 10Mi, or of bytes", quote(v.Value))
	case Size(n) < least || Size(n) > most:
		v.fail("must be from %s to %s, not %s", least, most, short(v.Value))
	default:
		return Size(n), true
	}
	return 0, false
}
