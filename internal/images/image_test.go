package main

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

func hobbit() program {
	return program{
		Name: "hobbit", Reference: "kubefed.dev/hobbit:v1", Authorities: []byte("authorities"),
		Binaries: map[string][]byte{"arm64": []byte("small"), "amd64": []byte("large")},
	}
}

func TestSameInputSameArchive(t *testing.T) {
	var contents [2][]byte
	var digests [2]string
	for i := range contents {
		path := filepath.Join(t.TempDir(), "hobbit.tar")
		digest, err := writeArchive(hobbit(), path)
		if err != nil {
			t.Fatal(err)
		}
		if contents[i], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
		digests[i] = digest
		if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
	if digests[0] != digests[1] || !cmp.Equal(contents[0], contents[1]) {
		t.Errorf("two archives of one input differ: %s and %s", digests[0], digests[1])
	}
	changed := hobbit()
	changed.Binaries["arm64"] = []byte("smaller")
	digest, err := writeArchive(changed, filepath.Join(t.TempDir(), "hobbit.tar"))
	if err != nil {
		t.Fatal(err)
	}
	if digest == digests[0] {
		t.Error("another binary has the same digest")
	}
}

func TestArchiveIsAnOCILayout(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hobbit.tar")
	digest, err := writeArchive(hobbit(), path)
	if err != nil {
		t.Fatal(err)
	}
	root, err := layout.ImageIndexFromPath(unpack(t, path))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(root); err != nil {
		t.Error(err)
	}
	manifest, err := root.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	want := []v1.Descriptor{{Annotations: map[string]string{
		"io.containerd.image.name": "kubefed.dev/hobbit:v1", "org.opencontainers.image.ref.name": "v1",
	}}}
	if diff := cmp.Diff(want[0].Annotations, manifest.Manifests[0].Annotations); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	if got := manifest.Manifests[0].Digest.String(); got != digest {
		t.Errorf("digest in the archive is %s, reported was %s", got, digest)
	}
}

func TestImageRunsAsNobodyFromScratch(t *testing.T) {
	one, err := image(hobbit(), "arm64")
	if err != nil {
		t.Fatal(err)
	}
	config, err := one.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Config.User != "65532:65532" || config.Architecture != "arm64" || config.OS != "linux" {
		t.Errorf("user %q on %s/%s, want 65532:65532 on linux/arm64", config.Config.User, config.OS, config.Architecture)
	}
	if diff := cmp.Diff([]string{"/usr/bin/hobbit"}, config.Config.Entrypoint); diff != "" {
		t.Errorf("entrypoint (-want +got):\n%s", diff)
	}
	files := read(t, mutate.Extract(one))
	for name, content := range map[string]string{"usr/bin/hobbit": "small", "etc/ssl/certs/ca-certificates.crt": "authorities"} {
		if files[name] != content {
			t.Errorf("%s holds %q, want %q", name, files[name], content)
		}
	}
}

func TestRunNamesWhatIsWrong(t *testing.T) {
	err := run(t.Context(), []string{"--ca-bundle=/does/not/exist"}, io.Discard, io.Discard)
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want one about the missing bundle", err)
	}
}

func read(t *testing.T, from io.ReadCloser) map[string]string {
	t.Helper()
	defer from.Close()
	files := map[string]string{}
	for in := tar.NewReader(from); ; {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = string(data)
	}
}

func unpack(t *testing.T, path string) string {
	t.Helper()
	in, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for name, content := range read(t, in) {
		target := filepath.Join(folder, filepath.FromSlash(name))
		if name[len(name)-1] == '/' {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(target, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}
