package runc

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLog bounds what is kept of a log or of standard error, in bytes: the newest. The container's own error messages
// are in there, as long as it likes.
const maxLog = 64 << 10

// readEnd returns the end of a file, at most maxLog bytes. It waits for no writer and follows no link, whatever lies there.
func readEnd(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s: not a regular file", path)
	}
	b, err := io.ReadAll(io.NewSectionReader(f, max(0, info.Size()-maxLog), maxLog))
	return string(b), err
}

// lastError returns the message of the last error in a JSON log. Lines that are cut short or not JSON are passed over.
func lastError(log string) (message string) {
	for line := range strings.Lines(log) {
		var entry struct{ Level, Msg string }
		if json.Unmarshal([]byte(line), &entry) != nil {
			continue
		}
		switch entry.Level {
		case "error", "fatal", "panic":
			message = entry.Msg
		}
	}
	return message
}

func lastLine(s string) (last string) {
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); line != "" {
			last = line
		}
	}
	return last
}
