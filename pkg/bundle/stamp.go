package bundle

import (
	"crypto/sha256"
	"os"
	"syscall"
	"time"
)

// read is a config.json as it was read, but for its text, which may be large and is kept elsewhere.
type read struct {
	stamp stamp
	at    time.Time // before the read
	sum   [sha256.Size]byte
	err   error
	moved bool // it differs from what was read before, and that is not told yet
}

// stamp tells whether a file is the one it was.
type stamp struct {
	dev, ino     uint64
	size         int64
	mtime, ctime syscall.Timespec
}

// settled is how much older than the read a file's last change must be before its stamp can be believed: within the
// tick of a file system's clock (10 ms on older kernels, 2 s on the worst) a second change leaves the same stamp.
const settled = 2 * time.Second

func readOnce(dir string) (config []byte, r read) {
	r.at = time.Now()
	r.stamp = stampOf(dir) // before the read: a change in between shows
	if config, r.err = Load(dir); r.err == nil {
		r.sum = sha256.Sum256(config)
	}
	return config, r
}

// same holds for two reads of one text, or two failures for one reason.
func (r read) same(other read) bool {
	if r.err != nil || other.err != nil {
		return r.err != nil && other.err != nil && r.err.Error() == other.err.Error()
	}
	return r.sum == other.sum
}

// covers reports whether r still is what a bundle's config.json holds, without reading it.
func (r read) covers(dir string) bool {
	return r.err == nil && r.stamp != stamp{} && r.at.Sub(time.Unix(r.stamp.ctime.Unix())) > settled && r.stamp == stampOf(dir)
}

// stampOf is zero, which covers nothing, for what cannot be looked at.
func stampOf(dir string) stamp {
	root, err := os.OpenRoot(dir + "/.")
	if err != nil {
		return stamp{}
	}
	defer root.Close()
	info, err := root.Stat("config.json")
	if err != nil {
		return stamp{}
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return stamp{}
	}
	return stamp{dev: st.Dev, ino: st.Ino, size: st.Size, mtime: st.Mtim, ctime: st.Ctim}
}
