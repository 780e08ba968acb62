package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

func read(t *testing.T, dir string) map[string]string {
	t.Helper()
	got := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "..") {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			data, err = os.ReadFile(filepath.Join(dir, e.Name(), "f"))
		}
		if err != nil {
			t.Fatal(err)
		}
		got[e.Name()] = string(data)
	}
	return got
}

func TestPublishReplacesAll(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "v")
	for _, step := range []struct {
		files payload
		want  map[string]string
	}{
		{payload{"a": {[]byte("1"), 0o600}, "sub/f": {[]byte("2"), 0o644}}, map[string]string{"a": "1", "sub": "2"}},
		{payload{"a": {[]byte("3"), 0o600}, "b": {[]byte("4"), 0o400}}, map[string]string{"a": "3", "b": "4"}},
		{payload{}, map[string]string{}},
	} {
		if err := step.files.publish(dir); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(step.want, read(t, dir)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "..v*")); len(left) != 1 {
		t.Errorf("versions left: %v, want one", left)
	}
	if err := (payload{"../x": {}}).publish(dir); err == nil {
		t.Error("a file outside the volume was written")
	}
}

func TestPayload(t *testing.T) {
	renewal := time.Now().Add(time.Hour)
	issue := func(_ *v1.Pod, audience string, seconds int64) (string, time.Time, error) {
		return "token for " + audience, renewal, nil
	}
	ref := func(name string) v1.LocalObjectReference { return v1.LocalObjectReference{Name: name} }
	for _, tc := range []struct {
		name    string
		source  v1.VolumeSource
		want    map[string]string
		renewed bool
		wantErr string
	}{
		{name: "config map", source: v1.VolumeSource{ConfigMap: &v1.ConfigMapVolumeSource{LocalObjectReference: ref("conf")}},
			want: map[string]string{"k": "from map", "l": "2"}},
		{name: "items", source: v1.VolumeSource{Secret: &v1.SecretVolumeSource{SecretName: "sec", Items: []v1.KeyToPath{{Key: "token", Path: "d/t"}}}},
			want: map[string]string{"d/t": "s3cret"}},
		{name: "missing", source: v1.VolumeSource{Secret: &v1.SecretVolumeSource{SecretName: "none"}}, wantErr: "not found"},
		{name: "missing but optional", source: v1.VolumeSource{Secret: &v1.SecretVolumeSource{SecretName: "none", Optional: ptr.To(true)}}, want: map[string]string{}},
		{name: "service account", renewed: true, source: v1.VolumeSource{Projected: &v1.ProjectedVolumeSource{Sources: []v1.VolumeProjection{
			{ServiceAccountToken: &v1.ServiceAccountTokenProjection{Audience: "me", Path: "token"}},
			{ConfigMap: &v1.ConfigMapProjection{LocalObjectReference: ref("conf"), Items: []v1.KeyToPath{{Key: "k", Path: "ca.crt"}}}},
			{DownwardAPI: &v1.DownwardAPIProjection{Items: []v1.DownwardAPIVolumeFile{{Path: "namespace", FieldRef: &v1.ObjectFieldSelector{FieldPath: "metadata.namespace"}}}}},
		}}}, want: map[string]string{"token": "token for me", "ca.crt": "from map", "namespace": "shop"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			files, renew, err := testSetting().payload(&v1.Volume{VolumeSource: tc.source}, issue)
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Fatalf("error %v, want one with %q", err, tc.wantErr)
				}
				return
			}
			got := map[string]string{}
			for path, f := range files {
				got[path] = string(f.data)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" || err != nil || renew.IsZero() == tc.renewed {
				t.Errorf("error %v, renewal %v, files (-want +got):\n%s", err, renew, diff)
			}
		})
	}
}
