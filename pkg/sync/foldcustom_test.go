package sync

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func statusOf(t *testing.T, text string) map[string]any {
	t.Helper()
	if text == "" {
		return nil
	}
	return object(t, "{kind: X, status: "+text+"}").Object["status"].(map[string]any)
}

func TestFoldCustom(t *testing.T) {
	const at1, at2, at3 = `"2026-01-01T00:00:01Z"`, `"2026-01-01T00:00:02Z"`, `"2026-01-01T00:00:03Z"`
	for _, test := range []struct {
		name     string
		previous string
		ours     string   // fields of previous that the federation wrote
		reports  []string // of clusters a, b, ...; a leading "!" means not current
		want     string
	}{{
		name:    "of one cluster it is a copy, with the federation's generations",
		reports: []string{`{phase: Ready, nodes: [a, b], detail: {x: 1}, observedGeneration: 77, conditions: [{type: Ready, status: "True", observedGeneration: 77}]}`},
		want:    `{phase: Ready, nodes: [a, b], detail: {x: 1}, observedGeneration: 4, conditions: [{type: Ready, status: "True", observedGeneration: 4}]}`,
	}, {
		name: "what one cluster has not observed yet is not observed", previous: `{observedGeneration: 3, phase: Ready}`, ours: `{"f:observedGeneration": {}, "f:phase": {}}`,
		reports: []string{`!{phase: Ready, observedGeneration: 77, conditions: [{type: Ready, status: "True", observedGeneration: 77}]}`},
		want:    `{phase: Ready, observedGeneration: 3, conditions: [{type: Ready, status: "True"}]}`,
	}, {
		name: "of several, what all agree on", reports: []string{
			`{phase: Ready, url: a.example, replicas: 2, readyReplicas: 1, limits: {cpu: 1}, epoch: 5}`,
			`{phase: Ready, url: b.example, replicas: 3, limits: {cpu: 2}, epoch: 6}`,
		},
		want: `{phase: Ready, replicas: 5, readyReplicas: 1}`,
	}, {
		name: "a contradiction takes back what was agreed on", previous: `{phase: Ready, note: mine}`, ours: `{"f:phase": {}}`,
		reports: []string{`{phase: Ready}`, `{phase: Broken}`}, want: `{note: mine}`,
	}, {
		name: "a cluster that says nothing agrees with nothing", reports: []string{`{phase: Ready}`, `{}`}, want: `{}`,
	}, {
		name: "observed is what every cluster has observed", previous: `{observedGeneration: 2}`,
		reports: []string{`{observedGeneration: 9}`, `!{observedGeneration: 1}`}, want: `{observedGeneration: 2}`,
	}, {
		name: "a condition is True where all are", reports: []string{
			`{conditions: [{type: Ready, status: "True", reason: Up, message: fine, lastTransitionTime: ` + at1 + `}]}`,
			`{conditions: [{type: Ready, status: "True", reason: Up, message: fine, lastTransitionTime: ` + at2 + `}]}`,
		},
		want: `{conditions: [{type: Ready, status: "True", reason: Up, message: fine, lastTransitionTime: ` + at2 + `}]}`,
	}, {
		name: "False where one is, by name", reports: []string{
			`{conditions: [{type: Ready, status: "True", reason: Up, message: fine, lastTransitionTime: ` + at1 + `}]}`,
			`{conditions: [{type: Ready, status: "False", reason: Down, message: no disk, lastTransitionTime: ` + at2 + `}]}`,
			`{}`,
			`{conditions: [{type: Ready, status: "False", reason: Down, message: no disk, lastTransitionTime: ` + at3 + `}]}`,
		},
		want: `{conditions: [{type: Ready, status: "False", reason: Down, message: "clusters b, d: no disk", lastTransitionTime: ` + at3 + `}]}`,
	}, {
		name: "else Unknown", previous: `{conditions: [{type: Ready, status: Unknown, lastTransitionTime: ` + at1 + `}]}`, reports: []string{
			`{conditions: [{type: Ready, status: "True", reason: Up, message: fine, lastTransitionTime: ` + at2 + `}]}`, `{}`,
		},
		want: `{conditions: [{type: Ready, status: Unknown, reason: Unknown, message: "cluster b: does not say", lastTransitionTime: ` + at1 + `}]}`,
	}, {
		name: "what nobody in the members sets is not written", previous: `{phase: Mine, conditions: [{type: Ready, status: "True"}]}`,
		reports: []string{`{}`, `{}`}, want: `{phase: Mine, conditions: [{type: Ready, status: "True"}]}`,
	}, {
		name: "others' fields and conditions stay", previous: `{note: mine, detail: {x: 1, y: 2}, conditions: [{type: Ready, status: "False"}, {type: Approved, status: "True"}]}`,
		ours:    `{"f:detail": {"f:x": {}}, "f:conditions": {"k:{\"type\":\"Ready\"}": {".": {}, "f:status": {}, "f:type": {}}}}`,
		reports: []string{`{detail: {x: 3}, conditions: [{type: Ready, status: "True"}]}`},
		want:    `{note: mine, detail: {x: 3, y: 2}, conditions: [{type: Ready, status: "True"}, {type: Approved, status: "True"}]}`,
	}, {
		name: "a condition that members no longer tell goes where it is known to be theirs", previous: `{conditions: [{type: Ready, status: "True"}, {type: Old, status: "True"}]}`,
		ours:    `{"f:conditions": {"k:{\"type\":\"Ready\"}": {".": {}}, "k:{\"type\":\"Old\"}": {".": {}}}}`,
		reports: []string{`{conditions: [{type: Ready, status: "True"}]}`},
		want:    `{conditions: [{type: Ready, status: "True"}]}`,
	}, {
		name: "and stays in a list that is owned as a whole", previous: `{conditions: [{type: Ready, status: "True"}, {type: Approved, status: "True"}]}`,
		ours:    `{"f:conditions": {}}`,
		reports: []string{`{conditions: [{type: Ready, status: "False"}]}`},
		want:    `{conditions: [{type: Ready, status: "False"}, {type: Approved, status: "True"}]}`,
	}, {
		name: "what nowhere tells is taken back", previous: `{phase: Ready, note: mine}`, ours: `{"f:phase": {}}`, want: `{note: mine}`,
	}} {
		t.Run(test.name, func(t *testing.T) {
			var reports []Report
			for i, text := range test.reports {
				r := Report{Cluster: string(rune('a' + i)), Current: text[0] != '!'}
				if !r.Current {
					text = text[1:]
				}
				r.Status = statusOf(t, text)
				reports = append(reports, r)
			}
			previous := statusOf(t, test.previous)
			got := FoldCustom(4, previous, statusOf(t, test.ours), reports)
			if diff := cmp.Diff(any(statusOf(t, test.want)), any(got)); diff != "" {
				t.Errorf("folded (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(statusOf(t, test.previous), previous); diff != "" {
				t.Errorf("changed what it was given:\n%s", diff)
			}
			patched := statusOf(t, test.previous)
			if patched == nil {
				patched = map[string]any{}
			}
			merge(patched, mergePatch(previous, got))
			if diff := cmp.Diff(any(got), any(patched)); diff != "" {
				t.Errorf("the patch makes something else of it (-want +got):\n%s", diff)
			}
		})
	}
}

// merge applies a JSON merge patch as RFC 7386 says.
func merge(into, patch map[string]any) {
	for key, value := range patch {
		sub, isMap := value.(map[string]any)
		under, wasMap := into[key].(map[string]any)
		switch {
		case value == nil:
			delete(into, key)
		case isMap && wasMap:
			merge(under, sub)
		default:
			into[key] = value
		}
	}
}

// TestFoldCustomSettles: folding its own result again changes nothing, with what it wrote as its own.
func TestFoldCustomSettles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var reports []Report
		for i := range rapid.IntRange(0, 4).Draw(t, "clusters") {
			status := map[string]any{}
			if rapid.Bool().Draw(t, "phase") {
				status["phase"] = rapid.SampledFrom([]string{"A", "B"}).Draw(t, "what")
			}
			if rapid.Bool().Draw(t, "numbers") {
				status["replicas"], status["observedGeneration"] = rapid.Int64Range(0, 3).Draw(t, "n"), rapid.Int64Range(0, 3).Draw(t, "g")
			}
			if rapid.Bool().Draw(t, "conditions") {
				status["conditions"] = []any{map[string]any{
					"type": rapid.SampledFrom([]string{"Ready", "Synced"}).Draw(t, "type"), "status": rapid.SampledFrom([]string{"True", "False", "Unknown"}).Draw(t, "status"),
					"reason": "R", "message": rapid.SampledFrom([]string{"", "m"}).Draw(t, "message"), "lastTransitionTime": rapid.SampledFrom([]string{"1", "2"}).Draw(t, "at"), "observedGeneration": int64(7),
				}}
			}
			reports = append(reports, Report{Cluster: string(rune('a' + i)), Current: rapid.Bool().Draw(t, "current"), Status: status})
		}
		previous := map[string]any{"note": "mine", "phase": "A", "observedGeneration": int64(3)}
		first := FoldCustom(4, previous, map[string]any{"f:phase": map[string]any{}}, reports)
		owners := map[string]any{}
		for field, value := range first { // what was written, and all of phase
			if field == "phase" || !cmp.Equal(value, previous[field]) {
				owners["f:"+field] = map[string]any{}
			}
		}
		if diff := cmp.Diff(first, FoldCustom(4, first, owners, reports)); diff != "" {
			t.Errorf("folding again changed it:\n%s", diff)
		}
	})
}
