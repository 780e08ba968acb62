package controlplane

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubefed.dev/kubefed/pkg/cloud/config"
)

func parsedClouds(t *testing.T, text string) *config.Config {
	t.Helper()
	c, err := config.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// clouds is a configuration with a file of keys, a pod's identity, and a site.
func clouds(t *testing.T) Cloud {
	t.Helper()
	return Cloud{Given: true, Files: map[string][]byte{"file-1": []byte("[default]")}, Config: parsedClouds(t, `
accounts:
- {name: prod, provider: aws, regions: [us-east-1], credentials: [{static: {file: file-1}}]}
- {name: earth, provider: gcp, project: earth-1, credentials: [{workloadIdentity: {}}]}
sites: [{name: basement, provider: on-premises, price: {currency: EUR, cpuHour: "0.011", gibHour: "0.0014"}}]
`)}
}

// An Init without cloud flags keeps what an earlier one stored, files included.
func TestKeepClouds(t *testing.T) {
	first := clouds(t)
	stored := corev1.Secret{Data: first.files()}
	kept, err := Cloud{}.keep(stored)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first.files(), kept.files()); diff != "" {
		t.Errorf("(-first +second):\n%s", diff)
	}
	other := Cloud{Config: parsedClouds(t, "sites: []"), Given: true}
	if got, err := other.keep(stored); err != nil || got.Config != other.Config {
		t.Errorf("what the user gives does not win: %v", err)
	}
	if none, err := (Cloud{Given: true}).keep(stored); err != nil || none.files() != nil {
		t.Errorf("what the user takes away stays: %v", err)
	}
	if nothing, err := (Cloud{}).keep(corev1.Secret{}); err != nil || nothing.files() != nil {
		t.Errorf("of nothing there is %v, %v", nothing, err)
	}
	stored.Data[keyCloudConfig] = []byte("accounts: x")
	if _, err := (Cloud{}).keep(stored); err == nil || !strings.Contains(err.Error(), "give --cloud-config again") {
		t.Errorf("of something else: %v", err)
	}
}

func TestKeepAnnotations(t *testing.T) {
	role := map[string]string{"eks.amazonaws.com/role-arn": "arn"}
	there := Existing{ServiceAccount: &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{
		"eks.amazonaws.com/role-arn": "arn", corev1.LastAppliedConfigAnnotation: "{}"}}}}
	for _, test := range []struct {
		name     string
		given    map[string]string
		existing Existing
		want     map[string]string
	}{
		{"nothing said, nothing there", nil, Existing{}, nil},
		{"nothing said", nil, there, role},
		{"another one", map[string]string{"a": "b"}, there, map[string]string{"a": "b"}},
		{"none", map[string]string{}, there, map[string]string{}},
	} {
		if diff := cmp.Diff(test.want, keepAnnotations(Options{ServiceAccountAnnotations: test.given}, test.existing)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestValidateClouds(t *testing.T) {
	o := fellowship(func(o *Options) {
		o.Cloud.Config = parsedClouds(t, "accounts: [{name: a, provider: aws, credentials: [{profile: {profile: prod}}]}]")
	})
	if _, err := o.Validate(); err == nil || !strings.Contains(err.Error(), "--cloud-config: accounts[0].credentials[0].profile: names no file") {
		t.Errorf("a profile that only this machine has: %v", err)
	}
}
