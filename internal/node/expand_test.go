package node

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
)

func TestExpand(t *testing.T) {
	vars := map[string]string{"A": "1", "B": "$(A)", "EMPTY": ""}
	lookup := func(n string) (string, bool) { v, ok := vars[n]; return v, ok }
	for _, tc := range []struct{ name, in, want string }{
		{"plain", "x", "x"},
		{"empty", "", ""},
		{"known", "a$(A)b", "a1b"},
		{"two", "$(A)$(A)", "11"},
		{"not expanded twice", "$(B)", "$(A)"},
		{"unknown stays", "$(C)/x", "$(C)/x"},
		{"set to nothing", "<$(EMPTY)>", "<>"},
		{"escaped", "$$(A)", "$(A)"},
		{"dollar at the end", "a$", "a$"},
		{"dollar alone", "$x $A", "$x $A"},
		{"not closed", "$(A", "$(A"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := expand(tc.in, lookup); got != tc.want {
				t.Errorf("expand(%q) = %q, want %q", tc.in, got, tc.want)
			}
		})
	}
}

func TestRewrite(t *testing.T) {
	table := newMountTable([]v1.VolumeMount{
		{Name: "certs", MountPath: "/etc/certs"},
		{Name: "deep", MountPath: "/etc/certs/deep/"},
		{Name: "data", MountPath: "/data", SubPath: "sub"},
		{Name: "tmp", MountPath: "/tmp"},
		{Name: "gone", MountPath: "/gone"},
	}, map[string]string{"certs": "/tmp/h/certs", "deep": "/tmp/h/deep", "data": "/v/data", "tmp": "/tmp/h/tmp"})
	for _, tc := range []struct{ name, in, want string }{
		{"path", "/etc/certs", "/tmp/h/certs"},
		{"file", "/etc/certs/tls.crt", "/tmp/h/certs/tls.crt"},
		{"longest mount", "/etc/certs/deep/x", "/tmp/h/deep/x"},
		{"flag", "--tls-cert=/etc/certs/tls.crt", "--tls-cert=/tmp/h/certs/tls.crt"},
		{"list", "/etc/certs/a,/data/b:/data", "/tmp/h/certs/a,/v/data/sub/b:/v/data/sub"},
		{"URL without host", "unix:///data/s.sock", "unix:///v/data/sub/s.sock"},
		{"URL with host", "http://host/data/x", "http://host/data/x"},
		{"longer name", "/database /etc/certs2 /etc/certs.d", "/database /etc/certs2 /etc/certs.d"},
		{"inside another path", "/srv/data/x", "/srv/data/x"},
		{"what was written is left alone", "/tmp/x", "/tmp/h/tmp/x"},
		{"quoted", `{"dir":"/data"}`, `{"dir":"/v/data/sub"}`},
		{"volume that is missing", "/gone/x", "/gone/x"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := table.rewrite(tc.in); got != tc.want {
				t.Errorf("rewrite(%q) = %q, want %q", tc.in, got, tc.want)
			}
		})
	}
}

func TestCommandLine(t *testing.T) {
	lookup := func(n string) (string, bool) { return "v", n == "V" }
	for _, tc := range []struct {
		name          string
		command, args []string
		wantPath      string
		want          []string
	}{
		{name: "image's own", wantPath: "/bin/prog-linux"},
		{name: "arguments", args: []string{"a", "$(V)"}, wantPath: "/bin/prog-linux", want: []string{"a", "v"}},
		{name: "command of the image's name", command: []string{"/app/web", "serve"}, args: []string{"x"}, wantPath: "/bin/prog-linux", want: []string{"serve", "x"}},
		{name: "command of the binary's name", command: []string{"prog-linux"}, wantPath: "/bin/prog-linux", want: []string{}},
		{name: "other command", command: []string{"sh", "-c", "exit 1"}, wantPath: "sh", want: []string{"-c", "exit 1"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path, args := commandLine(&v1.Container{Image: "x/web:v1", Command: tc.command, Args: tc.args}, "/bin/prog-linux", lookup)
			if diff := cmp.Diff(tc.want, args); diff != "" || path != tc.wantPath {
				t.Errorf("commandLine() = %q, want %q, arguments (-want +got):\n%s", path, tc.wantPath, diff)
			}
		})
	}
}

func TestImage(t *testing.T) {
	for _, tc := range []struct{ image, repository, tag string }{
		{"nginx", "nginx", "latest"},
		{"nginx:1.27", "nginx", "1.27"},
		{"registry:5000/a/b", "registry:5000/a/b", "latest"},
		{"registry:5000/a/b:v1", "registry:5000/a/b", "v1"},
		{"a/b@sha256:00", "a/b", "sha256:00"},
		{"a/b:v1@sha256:00", "a/b", "v1"},
	} {
		t.Run(tc.image, func(t *testing.T) {
			got := [2]string{imageRepository(tc.image), imageTag(tc.image)}
			if diff := cmp.Diff([2]string{tc.repository, tc.tag}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
