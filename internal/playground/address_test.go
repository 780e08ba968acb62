package playground

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
)

func TestRangesBelongToOneCluster(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	folders := t.TempDir()
	folder := func(name string) string {
		path := filepath.Join(folders, name)
		if err := os.MkdirAll(path, 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	seen := map[netip.Prefix]string{}
	for _, name := range []string{"a", "b", "c", "d"} {
		prefix, err := Reserve(folder(name))
		if err != nil {
			t.Fatal(err)
		}
		if owner, taken := seen[prefix]; taken {
			t.Errorf("%s belongs to %s and %s", prefix, owner, name)
		}
		if !netip.MustParsePrefix("127.64.0.0/10").Overlaps(prefix) && !netip.MustParsePrefix("127.128.0.0/9").Overlaps(prefix) {
			t.Errorf("%s is outside of what playgrounds use", prefix)
		}
		seen[prefix] = name
	}
	for prefix, name := range seen {
		if err := claim(prefix, folder(name)); err != nil {
			t.Errorf("%s can't claim its own range: %v", name, err)
		}
		if err := claim(prefix, folder("other")); !matches(err, "belong to the cluster in") {
			t.Errorf("another cluster claims the range of %s: %v", name, err)
		}
		if abandoned(serverURL(prefix)) {
			t.Errorf("the range of %s counts as abandoned", name)
		}
		if err := os.RemoveAll(folder(name)); err != nil {
			t.Fatal(err)
		}
		if !abandoned(serverURL(prefix)) {
			t.Errorf("the range of %s does not count as abandoned although its folder is gone", name)
		}
		if err := claim(prefix, folder("other")); err != nil {
			t.Errorf("the range of a cluster whose folder is gone: %v", err)
		}
		if err := Release(prefix, folder("other")); err != nil {
			t.Error(err)
		}
	}
	left, err := os.ReadDir(os.TempDir())
	if err != nil || len(left) > 0 {
		t.Errorf("left in the temporary folder: %v %v", left, err)
	}
}

func TestOnlyPlaygroundsAddressesAreAbandoned(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for _, server := range []string{
		"https://127.0.0.1:6443", "https://10.65.0.1:6443", "https://gondor.example.com:6443", "https://127.65.0.1:16443",
		"http://127.65.0.1:6443", "https://[::1]:6443", "", "://",
	} {
		if abandoned(server) {
			t.Errorf("%q counts as abandoned", server)
		}
	}
}
