package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const overridePolicy = `
apiVersion: federation.kubefed.dev/v1alpha1
kind: OverridePolicy
metadata: {name: local}
spec:
  resourceSelectors:
  - {apiVersion: apps/v1, kind: Deployment, labelSelector: {matchLabels: {app: web}}}
  rules:
  - clusters: {names: [gondor]}
    images:
    - {registry: mirror.gondor.example.com}
  - clusters: {matchFields: [{key: region, operator: In, values: [shire]}]}
    env:
    - {container: c, set: [{name: PLACE, value: shire}]}
    labels: {set: {place: shire}}
    jsonPatch:
    - {op: add, path: /spec/minReadySeconds, value: 1}
`

// inEach waits until a Deployment is in each member as said of it: by JSON path.
func inEach(t *testing.T, what, ns, name string, want map[string]map[string]string) {
	t.Helper()
	eventually(t, what, 45*time.Second, func() (bool, string) {
		for member, fields := range want {
			for path, value := range fields {
				got, err := federation.run(t.Context(), "kubectl", "--context="+member, "get", "deployment/"+name, "-n", ns, "-o", "jsonpath={"+path+"}")
				if err != nil || got != value {
					return false, fmt.Sprintf("%s has %s %q, want %q (%v)", member, path, got, value, err)
				}
			}
		}
		return true, ""
	})
}

// webAs are the fields that the policies of this story change.
func webAs(image, place, label, ready string) map[string]string {
	return map[string]string{
		".spec.template.spec.containers[0].image": image, `.spec.template.spec.containers[0].env[?(@.name=="PLACE")].value`: place,
		".metadata.labels.place": label, ".spec.minReadySeconds": ready,
	}
}

// stateIn waits until an object has a state in a cluster, with a message that names all of words.
func stateIn(t *testing.T, ns, decision, cluster, state string, words ...string) {
	t.Helper()
	eventually(t, state+" in "+cluster, 30*time.Second, func() (bool, string) {
		d, _ := get(t, federationName, "placementdecision", decision, "-n", ns)
		list, _ := field(d, "status", "clusters").([]any)
		for _, s := range list {
			m, _ := s.(map[string]any)
			if m["name"] != cluster {
				continue
			}
			for _, word := range words {
				if !strings.Contains(text(m, "message"), word) {
					return false, fmt.Sprint(m)
				}
			}
			return text(m, "state") == state, fmt.Sprint(m)
		}
		return false, "the decision does not name the cluster"
	})
}

// TestOverrides: a policy makes a Deployment differ in two of three members; a change and the removal of the policy
// reach just the members that it means.
func TestOverrides(t *testing.T) {
	ns := namespace(t, "overrides")
	apply(t, federationName, into(ns, webDeployment))
	apply(t, federationName, into(ns, strings.ReplaceAll(strings.ReplaceAll(webDeployment, "name: web,", "name: other,"), "app: web", "app: other")))
	synced(t, ns, 60*time.Second)
	generation := func(member, name string) string {
		return inMember(t, member, "get", "deployment/"+name, "-n", ns, "-o", "jsonpath={.metadata.generation}")
	}
	before := map[string]string{}
	for _, member := range members {
		before[member] = generation(member, "other")
	}
	before["rohan's web"] = generation("rohan", "web")

	own := webAs("nginx:1", "", "", "")
	apply(t, federationName, into(ns, overridePolicy))
	inEach(t, "the policy in its members", ns, "web", map[string]map[string]string{
		"gondor": webAs("mirror.gondor.example.com/nginx:1", "", "", ""),
		"shire":  webAs("nginx:1", "shire", "shire", "1"),
		"rohan":  own,
	})
	synced(t, ns, 30*time.Second)
	for _, member := range members {
		rendered(t, ns, "web", member)
	}

	// What could never be applied, or does not fit what is there, is refused, and changes nothing.
	for from, complaint := range map[string]string{
		"/spec/minReadySeconds, value":             ".spec.replicas is decided by placement",
		"{op: add, path: /spec/minReadySeconds, v": "does not fit Deployment " + ns + "/web in cluster shire: remove /spec/absent",
	} {
		to := map[string]string{"/spec/minReadySeconds, value": "/spec/replicas, value",
			"{op: add, path: /spec/minReadySeconds, v": "{op: remove, path: /spec/absent}\n    - {op: add, path: /spec/minReadySeconds, v"}[from]
		_, err := federation.runInput(t.Context(), into(ns, strings.Replace(overridePolicy, from, to, 1)), "kubectl", "--context="+federationName, "apply", "-f", "-")
		if err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("want a refusal with %q, got %v", complaint, err)
		}
	}

	// Another registry, and nothing for shire any more: it gets the object's own values back.
	changed, _, _ := strings.Cut(overridePolicy, "  - clusters: {matchFields")
	apply(t, federationName, into(ns, strings.ReplaceAll(changed, "mirror.gondor", "mirror2.gondor")))
	inEach(t, "the changed policy in its members", ns, "web", map[string]map[string]string{
		"gondor": webAs("mirror2.gondor.example.com/nginx:1", "", "", ""), "shire": own, "rohan": own,
	})

	// A cluster gets a label that a rule selects by.
	apply(t, federationName, into(ns, strings.ReplaceAll(overridePolicy, "{names: [gondor]}", "{matchLabels: {tier: gold}}")))
	inEach(t, "gondor, which has no such label", ns, "web", map[string]map[string]string{"gondor": own, "shire": webAs("nginx:1", "shire", "shire", "1")})
	kubectl(t, "label", "cluster/gondor", "tier=gold")
	t.Cleanup(func() { kubectlCleanup(t, "label", "cluster/gondor", "tier-") })
	inEach(t, "gondor, which has the label now", ns, "web", map[string]map[string]string{"gondor": webAs("mirror.gondor.example.com/nginx:1", "", "", "")})

	kubectl(t, "delete", "overridepolicy/local", "-n", ns)
	inEach(t, "the object's own values in every member", ns, "web", map[string]map[string]string{"gondor": own, "shire": own, "rohan": own})
	synced(t, ns, 30*time.Second)
	for _, member := range members {
		if now := generation(member, "other"); now != before[member] {
			t.Errorf("%s: the Deployment that no policy selects was changed: generation %s, was %s", member, now, before[member])
		}
	}
	if now := generation("rohan", "web"); now != before["rohan's web"] {
		t.Errorf("rohan, which no rule means, got generation %s, had %s", now, before["rohan's web"])
	}
}

// TestOverrideThatNoLongerFits: an object that changes so that a policy can't be applied any more stays as it was where
// the policy means it, and changes everywhere else.
func TestOverrideThatNoLongerFits(t *testing.T) {
	ns := namespace(t, "override-misfit")
	apply(t, federationName, into(ns, strings.Replace(webDeployment, "labels: {app: web}}", "labels: {app: web}, annotations: {team: a}}", 1)))
	synced(t, ns, 60*time.Second)
	apply(t, federationName, into(ns, `
apiVersion: federation.kubefed.dev/v1alpha1
kind: OverridePolicy
metadata: {name: team-a}
spec:
  resourceSelectors: [{apiVersion: apps/v1, kind: Deployment, name: web}]
  rules:
  - clusters: {names: [rohan]}
    jsonPatch:
    - {op: test, path: /metadata/annotations/team, value: a}
    - {op: add, path: /spec/minReadySeconds, value: 1}
`))
	inEach(t, "the patch in rohan", ns, "web", map[string]map[string]string{"rohan": {".spec.minReadySeconds": "1"}, "gondor": {".spec.minReadySeconds": ""}})
	kubectl(t, "annotate", "-n", ns, "deployment/web", "team=b", "--overwrite")
	stateIn(t, ns, "web.deployments.apps", "rohan", "NotRendered", "OverridePolicy "+ns+"/team-a", "spec.rules[0].jsonPatch[0]", "test /metadata/annotations/team")
	inEach(t, "the change elsewhere", ns, "web", map[string]map[string]string{
		"gondor": {".metadata.annotations.team": "b"}, "shire": {".metadata.annotations.team": "b"},
		"rohan": {".metadata.annotations.team": "a", ".spec.minReadySeconds": "1"},
	})
	kubectl(t, "delete", "overridepolicy/team-a", "-n", ns)
	inEach(t, "the change in rohan too", ns, "web", map[string]map[string]string{"rohan": {".metadata.annotations.team": "b", ".spec.minReadySeconds": ""}})
	synced(t, ns, 30*time.Second)
}

// rendered checks that a member holds all that `kubefed render` says.
func rendered(t *testing.T, ns, name, member string) {
	t.Helper()
	var want map[string]any
	out := must(t, "kubefed", "render", "deployment/"+name, "-n", ns, "--cluster="+member, "-o", "json")
	if err := json.Unmarshal([]byte(out), &want); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	got, _ := get(t, member, "deployment/"+name, "-n", ns)
	if why := lacks(want, got, ""); why != "" {
		t.Errorf("%s does not hold what kubefed render prints: %s", member, why)
	}
}

// lacks says which part of want is not in got: got may have more keys, and lists are of equal length.
func lacks(want, got any, path string) string {
	switch w := want.(type) {
	case map[string]any:
		g, _ := got.(map[string]any)
		for key, value := range w {
			if why := lacks(value, g[key], path+"."+key); why != "" {
				return why
			}
		}
		return ""
	case []any:
		g, _ := got.([]any)
		if len(g) != len(w) {
			return fmt.Sprintf("%s has %d elements, want %d", path, len(g), len(w))
		}
		for i := range w {
			if why := lacks(w[i], g[i], fmt.Sprintf("%s[%d]", path, i)); why != "" {
				return why
			}
		}
		return ""
	}
	if want != got {
		return fmt.Sprintf("%s is %v, want %v", path, got, want)
	}
	return ""
}

// TestRender: what is in a file can be seen as a cluster would get it before it is applied, and nothing is stored.
func TestRender(t *testing.T) {
	ns := namespace(t, "render")
	apply(t, federationName, into(ns, strings.ReplaceAll(overridePolicy, "mirror.gondor", "mirror.render")))
	file := filepath.Join(t.TempDir(), "web.yaml")
	if err := os.WriteFile(file, []byte(webDeployment), 0o600); err != nil {
		t.Fatal(err)
	}
	out := must(t, "kubefed", "render", "-f", file, "-n", ns, "--all-clusters", "--diff")
	for _, line := range []string{"+++ gondor", "-      - image: nginx:1", "+      - image: mirror.render.example.com/nginx:1", "+++ shire", "+        - name: PLACE", "+  minReadySeconds: 1"} {
		if !strings.Contains(out, line+"\n") {
			t.Errorf("kubefed render lacks the line %q:\n%s", line, out)
		}
	}
	if _, ok := get(t, federationName, "deployment/web", "-n", ns); ok {
		t.Error("kubefed render stored the object")
	}
	if out := must(t, "kubefed", "__complete", "render", "deployment/web", "--cluster", ""); !strings.HasPrefix(out, strings.Join(members, "\n")) {
		t.Errorf("--cluster is completed by %q", out)
	}
	refused(t, []string{"kubefed", "render", "deployment/web", "-n", ns, "--cluster=gondor"}, "not found", "--namespace")
	refused(t, []string{"kubefed", "render", "clusterrole/admin", "--cluster=gondor"}, "not federated")
	refused(t, []string{"kubefed", "render", "-f", file, "--cluster=moria"}, "there are: gondor, rohan, shire")
}

// kubectlCleanup runs kubectl against the federation after a story.
func kubectlCleanup(t *testing.T, args ...string) {
	t.Helper()
	if out, err := federation.run(context.Background(), append([]string{"kubectl", "--context=" + federationName}, args...)...); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
