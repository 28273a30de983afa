package desired

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// WithRestarts folds the restart counter into a hash made by Hash: a restart that was asked for is another spec.
func WithRestarts(hash string, restarts int64) string {
	if restarts == 0 {
		return hash
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s restarts=%d", hash, restarts))
	return hex.EncodeToString(sum[:])
}
