package main

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// TestDrillsAreValidated: what the schema and CEL refuse, and that the message says what to do.
func TestDrillsAreValidated(t *testing.T) {
	api, err := dynamic.NewForConfig(sharedFor(t).config)
	if err != nil {
		t.Fatal(err)
	}
	drills := api.Resource(federation.GroupVersion.WithResource("failoverdrills"))
	const gondor = "targets: [{cluster: gondor}]\nsuspend: true\n"
	for name, c := range map[string]struct{ spec, want string }{
		"good": {`suspend: true
targets: [{provider: aws}, {zone: europe-west1-b}]
mode: Verdict
duration: 1m30s
schedule: "0 10 * * 2"
services: [{namespace: shop, name: web, path: /, requestsPerSecond: 20}]
guardrails: {minAvailability: 95, availabilityWindow: 10s, maxMoved: 10, maxDuration: 10m, workloads: [{namespace: shop, name: web, minReady: 3}]}
objectives: {recoveryTime: 30s, replacementTime: 2m, failedRequests: 0}`, ""},
		"kill":                  {gondor + "mode: Kill\nexecutor: Playground", ""},
		"no targets":            {"mode: Verdict\ntargets: []", "spec.targets"},
		"empty target":          {"mode: Verdict\ntargets: [{}]", "exactly one of cluster, zone, region and provider"},
		"two in one":            {"mode: Verdict\ntargets: [{cluster: a, zone: b}]", "exactly one of cluster, zone, region and provider"},
		"unknown mode":          {gondor + "mode: Flood", "spec.mode"},
		"no mode":               {gondor, "spec.mode"},
		"negative duration":     {gondor + "mode: DNS\nduration: -5m", "duration must be a duration greater than 0"},
		"no duration at all":    {gondor + "mode: DNS\nduration: 0s", "duration must be a duration greater than 0"},
		"negative maxDuration":  {gondor + "mode: DNS\nguardrails: {maxDuration: -1s}", "maxDuration must be a duration greater than 0"},
		"negative objective":    {gondor + "mode: DNS\nobjectives: {recoveryTime: -1s}", "recoveryTime must be a duration"},
		"negative failures":     {gondor + "mode: DNS\nobjectives: {failedRequests: -1}", "spec.objectives.failedRequests"},
		"availability over 100": {gondor + "mode: DNS\nservices: [{namespace: a, name: b}]\nguardrails: {minAvailability: 101}", "minAvailability"},
		"nothing to measure":    {gondor + "mode: DNS\nguardrails: {minAvailability: 90}", "needs services to measure"},
		"no schedule":           {gondor + "mode: DNS\nschedule: tomorrow", "schedule must be five fields of cron"},
		"kill from within":      {gondor + "mode: Kill", "kubefed drill run --mode=kill"},
		"executor of nothing":   {gondor + "mode: DNS\nexecutor: Playground", "executor is for modes Kill and Partition"},
		"scheduled kill":        {gondor + "mode: Kill\nexecutor: Playground\nschedule: '@daily'", "without a schedule"},
		"path of TCP":           {gondor + "mode: DNS\nservices: [{namespace: a, name: b, scheme: TCP, path: /}]", "path and expectedStatus are for HTTP and HTTPS"},
		"a flood":               {gondor + "mode: DNS\nservices: [{namespace: a, name: b, requestsPerSecond: 100000}]", "requestsPerSecond"},
	} {
		t.Run(name, func(t *testing.T) {
			u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": federation.GroupVersion.String(), "kind": "FailoverDrill"}}
			spec := map[string]any{}
			if err := yaml.Unmarshal([]byte(c.spec), &spec); err != nil {
				t.Fatal(err)
			}
			u.Object["spec"] = spec
			u.SetName("drill-" + strings.ReplaceAll(strings.ToLower(name), " ", "-"))
			_, err := drills.Create(t.Context(), u, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: "Strict"})
			switch {
			case c.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}
