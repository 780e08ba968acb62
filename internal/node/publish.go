package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// dataLink is the link that makes an update atomic, as in volumes that a kubelet writes: files are links to
// ..data/FILE, and ..data is a link to the directory of the present version.
const dataLink = "..data"

// publish makes dir show exactly these files, all at once. Nobody else may write to dir.
func (p payload) publish(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	before, _ := os.Readlink(filepath.Join(dir, dataLink)) // none at first
	version, err := os.MkdirTemp(dir, "..v")
	if err != nil {
		return err
	}
	if err := os.Chmod(version, 0o755); err != nil {
		return err
	}
	if err := p.write(version); err != nil {
		return err
	}
	if err := replaceLink(filepath.Base(version), filepath.Join(dir, dataLink)); err != nil {
		return err
	}
	if err := p.link(dir); err != nil {
		return err
	}
	if before != "" {
		return os.RemoveAll(filepath.Join(dir, before))
	}
	return nil
}

func (p payload) write(dir string) error {
	for path, f := range p {
		if !filepath.IsLocal(path) {
			return fmt.Errorf("file %q leaves its volume", path)
		}
		target := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(target, f.data, f.mode|0o200); err != nil {
			return err
		}
		if err := os.Chmod(target, f.mode|0o400); err != nil { // the umask does not count
			return err
		}
	}
	return nil
}

// link makes the visible names, and removes those of files that are no more.
func (p payload) link(dir string) error {
	wanted := map[string]bool{}
	for path := range p {
		first, _, _ := strings.Cut(path, "/")
		wanted[first] = true
		err := os.Symlink(filepath.Join(dataLink, first), filepath.Join(dir, first))
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "..") && !wanted[e.Name()] {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// replaceLink makes name a link to target, in one step.
func replaceLink(target, name string) error {
	next := name + "_next"
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(target, next); err != nil {
		return err
	}
	return os.Rename(next, name)
}
