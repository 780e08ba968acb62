package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"kubefed.dev/kubefed/internal/version"
)

// program is what an image is made of.
type program struct {
	Name string
	// Reference is the image's name with its tag.
	Reference string
	// Authorities are the certificate authorities that the program trusts, as PEM.
	Authorities []byte
	// Binaries are the static executables by architecture.
	Binaries map[string][]byte
}

// epoch is every file's time: an image must not depend on when it was built.
var epoch = time.Unix(0, 0).UTC()

// user is nobody in particular: "nonroot" of distroless images.
const user = "65532"

// index is the multi-platform image, architectures sorted.
func index(p program) (v1.ImageIndex, error) {
	all := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, arch := range slices.Sorted(maps.Keys(p.Binaries)) {
		one, err := image(p, arch)
		if err != nil {
			return nil, fmt.Errorf("making the image of %s for linux/%s: %w", p.Name, arch, err)
		}
		all = mutate.AppendManifests(all, mutate.IndexAddendum{
			Add: one, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}},
		})
	}
	return all, nil
}

// image is two layers, that with what changes last: base files, and the program.
func image(p program, arch string) (v1.Image, error) {
	base, err := layer([]file{
		{name: "etc/", mode: 0o755}, {name: "etc/ssl/", mode: 0o755}, {name: "etc/ssl/certs/", mode: 0o755},
		{name: "etc/passwd", mode: 0o644, data: []byte("root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n")},
		{name: "etc/group", mode: 0o644, data: []byte("root:x:0:\nnonroot:x:65532:\n")},
		{name: "etc/ssl/certs/ca-certificates.crt", mode: 0o644, data: p.Authorities},
		{name: "tmp/", mode: 0o1777},
	})
	if err != nil {
		return nil, err
	}
	binary, err := layer([]file{
		{name: "usr/", mode: 0o755}, {name: "usr/bin/", mode: 0o755}, {name: "usr/bin/" + p.Name, mode: 0o755, data: p.Binaries[arch]},
	})
	if err != nil {
		return nil, err
	}
	one, err := mutate.Append(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON),
		mutate.Addendum{Layer: base, MediaType: types.OCILayer, History: v1.History{CreatedBy: "base files", Created: v1.Time{Time: epoch}}},
		mutate.Addendum{Layer: binary, MediaType: types.OCILayer, History: v1.History{CreatedBy: p.Name, Created: v1.Time{Time: epoch}}},
	)
	if err != nil {
		return nil, err
	}
	config, err := one.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = "linux", arch, v1.Time{Time: epoch}
	config.Config = v1.Config{
		User: user + ":" + user, Entrypoint: []string{"/usr/bin/" + p.Name}, WorkingDir: "/",
		Env: []string{"PATH=/usr/bin"},
		Labels: map[string]string{
			"org.opencontainers.image.title": p.Name, "org.opencontainers.image.version": version.Version,
			"org.opencontainers.image.licenses": "Apache-2.0",
		},
	}
	return mutate.ConfigFile(one, config)
}

type file struct {
	name string // ends in "/" for a folder
	mode int64
	data []byte
}

func layer(files []file) (v1.Layer, error) {
	var content bytes.Buffer
	if err := writeTar(&content, files); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer))
}

// writeTar writes files in the order given, all of root and of the epoch.
func writeTar(to io.Writer, files []file) error {
	out := tar.NewWriter(to)
	for _, f := range files {
		header := &tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.data)), ModTime: epoch, Typeflag: tar.TypeReg, Format: tar.FormatPAX}
		if strings.HasSuffix(f.name, "/") {
			header.Typeflag = tar.TypeDir
		}
		if err := out.WriteHeader(header); err != nil {
			return err
		}
		if _, err := out.Write(f.data); err != nil {
			return err
		}
	}
	return out.Close()
}
