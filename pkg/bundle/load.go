package bundle

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// MaxConfig is the largest config.json that is read, in bytes.
const MaxConfig = 4 << 20

// Load reads the config.json of the bundle in dir, as bytes: Inspect says whether they are any good. It never waits and
// never leaves the bundle: a symlink is followed only inside, anything but a regular file is an error.
func Load(dir string) ([]byte, error) {
	// os.OpenRoot opens whatever it is given, and would wait for ever for the writer of a FIFO. The dot asks for a
	// directory.
	root, err := os.OpenRoot(dir + "/.")
	if err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	defer root.Close()
	const name = "config.json"
	// The first look keeps a device from being opened, O_NONBLOCK a FIFO from being waited for that took the file's place,
	// and the second look is at what was opened.
	info, err := root.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("bundle %s: %w", dir, err)
	}
	if err := readable(info); err != nil {
		return nil, fmt.Errorf("bundle %s: config.json %w", dir, err)
	}
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, fmt.Errorf("bundle %s: %w", dir, err)
	}
	defer f.Close()
	if info, err = f.Stat(); err == nil {
		err = readable(info)
	}
	var config []byte
	if err == nil {
		config, err = io.ReadAll(io.LimitReader(f, MaxConfig+1))
	}
	if err == nil && len(config) > MaxConfig {
		err = errTooLarge
	}
	if err != nil {
		return nil, fmt.Errorf("bundle %s: config.json %w", dir, err)
	}
	return config, nil
}

var errTooLarge = errors.New("is larger than 4 MiB")

func readable(info os.FileInfo) error {
	if !info.Mode().IsRegular() {
		return errors.New("is not a regular file")
	}
	if info.Size() > MaxConfig {
		return errTooLarge
	}
	return nil
}
