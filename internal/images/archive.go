package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// writeArchive writes a program's image as an OCI image layout in a tar file, and returns the image's digest. The
// annotations tell containerd and others under which name to load it.
func writeArchive(p program, path string) (digest string, err error) {
	all, err := index(p)
	if err != nil {
		return "", err
	}
	hash, err := all.Digest()
	if err != nil {
		return "", err
	}
	_, tag, _ := strings.Cut(p.Reference, ":")
	root := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), mutate.IndexAddendum{
		Add: all, Descriptor: v1.Descriptor{Annotations: map[string]string{
			"io.containerd.image.name": p.Reference, "org.opencontainers.image.ref.name": tag,
		}},
	})
	folder, err := os.MkdirTemp(filepath.Dir(path), ".layout-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(folder)
	if _, err := layout.Write(folder, root); err != nil {
		return "", err
	}
	return hash.String(), archive(folder, path)
}

// archive packs a folder, names sorted. It appears under its name only when it is complete.
func archive(folder, path string) error {
	var files []file
	err := filepath.WalkDir(folder, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || name == folder {
			return err
		}
		relative, err := filepath.Rel(folder, name)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			files = append(files, file{name: filepath.ToSlash(relative) + "/", mode: 0o755})
			return nil
		}
		data, err := os.ReadFile(name)
		files = append(files, file{name: filepath.ToSlash(relative), mode: 0o644, data: data})
		return err
	})
	if err != nil {
		return err
	}
	out, err := os.CreateTemp(filepath.Dir(path), ".archive-")
	if err != nil {
		return err
	}
	defer os.Remove(out.Name())
	if err := writeTar(out, files); err != nil {
		out.Close()
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	if err := os.Chmod(out.Name(), 0o644); err != nil {
		return err
	}
	return os.Rename(out.Name(), path)
}
