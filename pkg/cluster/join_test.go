package cluster

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"net/http"
	"net/url"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

func TestCheckOptions(t *testing.T) {
	good := func() JoinOptions {
		return JoinOptions{Name: "gondor", Member: &rest.Config{Host: "https://gondor:6443"}}
	}
	tests := map[string]struct {
		change func(*JoinOptions)
		want   string // part of the error, "" for none
	}{
		"good":            {func(*JoinOptions) {}, ""},
		"capital":         {func(o *JoinOptions) { o.Name = "Gondor" }, `cluster name "Gondor"`},
		"dot":             {func(o *JoinOptions) { o.Name = "gondor.west" }, "choose another NAME"},
		"long":            {func(o *JoinOptions) { o.Name = strings.Repeat("x", 64) }, "63"},
		"bad label":       {func(o *JoinOptions) { o.Labels = map[string]string{"a b": "c"} }, "--labels"},
		"bad region":      {func(o *JoinOptions) { o.Region = "US East" }, "--region"},
		"bad zone":        {func(o *JoinOptions) { o.Zones = []string{"a", "B!"} }, "--zones"},
		"http":            {func(o *JoinOptions) { o.Member.Host = "http://gondor" }, "https://"},
		"insecure":        {func(o *JoinOptions) { o.Member.Insecure = true }, "certificate-authority-data"},
		"tls-server-name": {func(o *JoinOptions) { o.Member.ServerName = "x" }, "tls-server-name"},
		"proxy": {func(o *JoinOptions) {
			o.Member.Proxy = func(*http.Request) (*url.URL, error) { return nil, nil }
		}, "proxy-url"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o := good()
			tt.change(&o)
			expectError(t, checkOptions(o), tt.want)
		})
	}
}

func expectError(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("refused: %v", err)
	case want != "" && err == nil:
		t.Errorf("accepted, want an error with %q", want)
	case want != "" && !strings.Contains(err.Error(), want):
		t.Errorf("want an error with %q, got: %v", want, err)
	}
}

func TestJudge(t *testing.T) {
	member := func(name, id string) federation.Cluster {
		c := federation.Cluster{}
		c.Name, c.Spec.ClusterID, c.Spec.Server = name, id, "https://elsewhere"
		return c
	}
	namespace := func(annotations ...string) *corev1.Namespace {
		n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{}}}
		for i := 0; i < len(annotations); i += 2 {
			n.Annotations[annotations[i]] = annotations[i+1]
		}
		return n
	}
	now := metav1.NewTime(start)
	leaving, other, gondor := member("gondor", "id-1"), member("gondor", "id-2"), member("gondor", "id-1")
	leaving.DeletionTimestamp = &now
	terminating := namespace()
	terminating.DeletionTimestamp = &now
	tests := map[string]struct {
		survey survey
		want   string
	}{
		"new":                            {survey{version: "v1.36.3"}, ""},
		"oldest":                         {survey{version: "v1.28.0"}, ""},
		"a vendor's version":             {survey{version: "v1.30.4-eks-a18cd3a"}, ""},
		"too old":                        {survey{version: "v1.27.16-gke.1"}, "needs v1.28 or newer"},
		"no version":                     {survey{version: "dev"}, "needs v1.28"},
		"joined already":                 {survey{version: "v1.36.3", cluster: &gondor, clusters: []federation.Cluster{gondor}}, ""},
		"being unjoined":                 {survey{version: "v1.36.3", cluster: &leaving}, "is being unjoined"},
		"name in use":                    {survey{version: "v1.36.3", cluster: &other, clusters: []federation.Cluster{other}}, "it is another one"},
		"second name":                    {survey{version: "v1.36.3", clusters: []federation.Cluster{member("ithilien", "id-1")}}, `already joined federation "fellowship" as "ithilien"`},
		"another federation's":           {survey{version: "v1.36.3", namespace: namespace(annotationMemberOfID, "f-2", annotationMemberOf, "mordor")}, `belongs to federation "mordor"`},
		"another of the same name":       {survey{version: "v1.36.3", namespace: namespace(annotationMemberOfID, "f-2", annotationMemberOf, "fellowship")}, "ID f-2"},
		"ours, half-done":                {survey{version: "v1.36.3", namespace: namespace(annotationMemberOfID, "f-1")}, ""},
		"the host":                       {survey{version: "v1.36.3", namespace: namespace(annotationHost, "fellowship")}, ""},
		"its namespace is being deleted": {survey{version: "v1.36.3", namespace: terminating}, "wait until it is gone"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.survey.info, tt.survey.clusterID = Info{Name: "fellowship", ID: "f-1"}, "id-1"
			expectError(t, judge(JoinOptions{Name: "gondor"}, &tt.survey), tt.want)
		})
	}
}

// TestMemberRulesGiveNoMoreThanNeeded: no wildcard, nothing that leads to more rights but the one role.
func TestMemberRulesGiveNoMoreThanNeeded(t *testing.T) {
	for _, customResources := range []bool{true, false} {
		for _, rule := range memberRules(customResources) {
			if slices.Contains(rule.APIGroups, "*") || slices.Contains(rule.Resources, "*") || slices.Contains(rule.Verbs, "*") {
				t.Errorf("a wildcard: %v", rule)
			}
			for _, verb := range []string{"escalate", "bind", "impersonate"} {
				if slices.Contains(rule.Verbs, verb) && (!customResources || !cmp.Equal(rule.ResourceNames, []string{CustomResourcesRole})) {
					t.Errorf("%s: %v", verb, rule)
				}
			}
			for _, resource := range rule.Resources {
				if strings.HasSuffix(resource, "/exec") || strings.HasSuffix(resource, "/token") || resource == "pods" && slices.Contains(rule.Verbs, "create") {
					t.Errorf("%s: %v", resource, rule)
				}
			}
		}
	}
}

func TestGranted(t *testing.T) {
	rules, changed := granted(nil, "ring.io", "rings")
	if !changed || len(rules) != 1 {
		t.Fatalf("got %v", rules)
	}
	rules, _ = granted(rules, "ring.io", "bearers")
	rules, _ = granted(rules, "eye.io", "eyes")
	want := []rbacv1.PolicyRule{
		{APIGroups: []string{"ring.io"}, Resources: []string{"bearers", "rings"}, Verbs: writeVerbs},
		{APIGroups: []string{"eye.io"}, Resources: []string{"eyes"}, Verbs: writeVerbs},
	}
	if diff := cmp.Diff(want, rules); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	if _, changed := granted(rules, "ring.io", "rings"); changed {
		t.Error("a right that is there is added again")
	}
}

func TestReleasePatch(t *testing.T) {
	entry := func(manager string) metav1.ManagedFieldsEntry { return metav1.ManagedFieldsEntry{Manager: manager} }
	for name, tt := range map[string]struct {
		managed []metav1.ManagedFieldsEntry
		want    int
	}{
		"others stay":                    {[]metav1.ManagedFieldsEntry{entry("kubefed"), entry("hpa")}, 1},
		"an empty list would be ignored": {[]metav1.ManagedFieldsEntry{entry("kubefed")}, 1},
		"nothing of ours":                {[]metav1.ManagedFieldsEntry{entry("a"), entry("b")}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := releasePatch(&metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{UID: "u", ManagedFields: tt.managed}})
			if err != nil {
				t.Fatal(err)
			}
			var patch struct {
				Metadata struct {
					UID                 string
					Labels, Annotations map[string]*string
					ManagedFields       []map[string]any
				}
			}
			if err := json.Unmarshal(data, &patch); err != nil {
				t.Fatal(err)
			}
			label, ok := patch.Metadata.Labels[federation.LabelFederation]
			if !ok || label != nil || patch.Metadata.UID != "u" || len(patch.Metadata.ManagedFields) != tt.want {
				t.Errorf("got %s", data)
			}
			for _, e := range patch.Metadata.ManagedFields {
				if e["manager"] == federation.FieldManager {
					t.Errorf("the federation still owns fields: %s", data)
				}
			}
		})
	}
}
