package observed

import (
	"strconv"
	"strings"
)

// InstanceID is the runtime's id of one attempt of a container.
func InstanceID(name string, attempt int) string { return name + "." + strconv.Itoa(attempt) }

// ParseInstanceID is the inverse of InstanceID. Names are DNS-1123 labels, so the dot is unambiguous; what is spelled in
// any other way is not ours.
func ParseInstanceID(id string) (name string, attempt int, ok bool) {
	name, number, _ := strings.Cut(id, ".")
	attempt, err := strconv.Atoi(number)
	ok = err == nil && attempt > 0 && name != "" && InstanceID(name, attempt) == id
	return name, attempt, ok
}
