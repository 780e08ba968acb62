package policy

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"
)

func TestParsePreferences(t *testing.T) {
	const at = "annotation " + AnnotationDeploymentPreferences
	tests := []struct {
		name, value string
		want        Preferences
		err         string
	}{
		{name: "all fields", value: `{"rebalance": true, "clusters": {"*": {"weight": 1}, "gondor": {"minReplicas": 2, "maxReplicas": 4, "weight": 3}}}`,
			want: Preferences{Rebalance: true, Clusters: map[string]ClusterPreferences{"*": {Weight: 1}, "gondor": {MinReplicas: 2, MaxReplicas: ptr.To[int64](4), Weight: 3}}}},
		{name: "no clusters", value: `{}`, want: Preferences{Clusters: map[string]ClusterPreferences{}}},
		{name: "null", value: `null`, want: Preferences{Clusters: map[string]ClusterPreferences{}}},
		{name: "a cluster without preferences", value: `{"clusters": {"gondor": null}}`, want: Preferences{Clusters: map[string]ClusterPreferences{"gondor": {}}}},
		{name: "any case", value: `{"Rebalance": true, "CLUSTERS": {"gondor": {"minreplicas": 2}}}`,
			want: Preferences{Rebalance: true, Clusters: map[string]ClusterPreferences{"gondor": {MinReplicas: 2}}}},
		{name: "unknown fields", value: `{"mode": "x", "clusters": {"gondor": {"weight": 1, "zone": "a"}}}`,
			want: Preferences{Clusters: map[string]ClusterPreferences{"gondor": {Weight: 1}}}},

		{name: "empty", value: ``, err: at + ` is not JSON: unexpected end of JSON input; write it like {"rebalance": false, "clusters": {"*": {"weight": 1}}}`},
		{name: "YAML", value: `rebalance: true`, err: at + ` is not JSON: invalid character 'r' looking for beginning of value; write it like {"rebalance": false, "clusters": {"*": {"weight": 1}}}`},
		{name: "a list", value: `[]`, err: at + `: the value is a JSON array: make it an object, as in {"rebalance": false, "clusters": {"*": {"weight": 1}}}`},
		{name: "wrong rebalance", value: `{"rebalance": "yes"}`, err: at + `: rebalance is a JSON string: make it true or false, as in {"rebalance": false, "clusters": {"*": {"weight": 1}}}`},
		{name: "wrong clusters", value: `{"clusters": ["gondor"]}`, err: at + `: clusters is a JSON array: make it an object, as in {"rebalance": false, "clusters": {"*": {"weight": 1}}}`},
		{name: "wrong cluster", value: `{"clusters": {"gondor": 3}}`, err: at + `: clusters["gondor"] is a JSON number: make it an object, as in {"rebalance": false, "clusters": {"*": {"weight": 1}}}`},
		{name: "a fraction", value: `{"clusters": {"gondor": {"weight": 1.5}}}`, err: at + `: clusters["gondor"].weight is a JSON number 1.5: make it a whole number, as in {"rebalance": false, "clusters": {"*": {"weight": 1}}}`},
		{name: "negative weight", value: `{"clusters": {"gondor": {"weight": -1}}}`, err: at + `: clusters["gondor"].weight is -1: set it between 0 and 2147483647`},
		{name: "huge weight", value: `{"clusters": {"gondor": {"weight": 2147483648}}}`, err: at + `: clusters["gondor"].weight is 2147483648: set it between 0 and 2147483647`},
		{name: "negative minimum", value: `{"clusters": {"*": {"minReplicas": -1}}}`, err: at + `: clusters["*"].minReplicas is -1: set it to 0 or more`},
		{name: "negative maximum", value: `{"clusters": {"*": {"maxReplicas": -1}}}`, err: at + `: clusters["*"].maxReplicas is -1: set it to 0 or more, or leave it out for no limit`},
		{name: "minimum above maximum", value: `{"clusters": {"b": {"weight": -1}, "a": {"minReplicas": 3, "maxReplicas": 2}}}`,
			err: at + `: clusters["a"].minReplicas 3 is above maxReplicas 2: lower the one or raise the other`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := ParsePreferences(AnnotationDeploymentPreferences, test.value)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(test.err, message(err)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func FuzzParsePreferences(f *testing.F) {
	for _, seed := range []string{``, `{}`, `null`, `[]`, `{"clusters": {"a": {"weight": 2147483648}}}`, `{"clusters": {"a": {"weight": "1"}}}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if _, err := ParsePreferences(AnnotationJobPreferences, value); err != nil && !strings.Contains(err.Error(), AnnotationJobPreferences) {
			t.Errorf("%v does not name the annotation", err)
		}
	})
}

func TestParseClusterSelector(t *testing.T) {
	clusters := map[string]labels.Set{
		"gondor": {"environment": "prod", "location": "europe", "version": "15"},
		"rohan":  {"environment": "prod", "location": "usa", "version": "9"},
		"shire":  {"environment": "test", "version": "x"},
	}
	const at = "annotation " + AnnotationClusterSelector
	tests := []struct{ name, value, want, err string }{
		{name: "empty list", value: `[]`, want: "gondor rohan shire"},
		{name: "null", value: `null`, want: "gondor rohan shire"},
		{name: "in", value: `[{"key": "environment", "operator": "in", "values": ["prod"]}]`, want: "gondor rohan"},
		{name: "In, several values", value: `[{"key": "environment", "operator": "In", "values": ["prod", "test"]}]`, want: "gondor rohan shire"},
		{name: "all must hold", value: `[{"key": "environment", "operator": "==", "values": ["prod"]}, {"key": "location", "operator": "!=", "values": ["usa"]}]`, want: "gondor"},
		{name: "!= where there is no label", value: `[{"key": "location", "operator": "!=", "values": ["usa"]}]`, want: "gondor shire"},
		{name: "=", value: `[{"key": "location", "operator": "=", "values": ["usa"]}]`, want: "rohan"},
		{name: "NotIn", value: `[{"key": "location", "operator": "NotIn", "values": ["usa", "europe"]}]`, want: "shire"},
		{name: "notin", value: `[{"key": "location", "operator": "notin", "values": ["usa"]}]`, want: "gondor shire"},
		{name: "Exists", value: `[{"key": "location", "operator": "Exists"}]`, want: "gondor rohan"},
		{name: "exists", value: `[{"key": "location", "operator": "exists", "values": []}]`, want: "gondor rohan"},
		{name: "DoesNotExist", value: `[{"key": "location", "operator": "DoesNotExist"}]`, want: "shire"},
		{name: "!", value: `[{"key": "location", "operator": "!"}]`, want: "shire"},
		{name: "Gt is of numbers", value: `[{"key": "version", "operator": "Gt", "values": ["10"]}]`, want: "gondor"},
		{name: "> is not >=", value: `[{"key": "version", "operator": ">", "values": ["15"]}]`, want: ""},
		{name: "gt", value: `[{"key": "version", "operator": "gt", "values": ["8"]}]`, want: "gondor rohan"},
		{name: "Lt", value: `[{"key": "version", "operator": "Lt", "values": ["10"]}]`, want: "rohan"},
		{name: "<", value: `[{"key": "version", "operator": "<", "values": ["16"]}]`, want: "gondor rohan"},
		{name: "lt", value: `[{"key": "version", "operator": "lt", "values": ["9"]}]`, want: ""},

		{name: "not JSON", value: `[{"not able to parse",}]`, err: at + ` is not JSON: invalid character ',' after object key; write it like [{"key": "environment", "operator": "In", "values": ["prod"]}]`},
		{name: "an object", value: `{}`, err: at + `: the value is a JSON object: make it a list, as in [{"key": "environment", "operator": "In", "values": ["prod"]}]`},
		{name: "a number among values", value: `[{"key": "version", "operator": "Gt", "values": [15]}]`, err: at + `: [0].values is a JSON number: make it a string, as in [{"key": "environment", "operator": "In", "values": ["prod"]}]`},
		{name: "one value for several", value: `[{"key": "version", "operator": "Gt", "values": "15"}]`, err: at + `: [0].values is a JSON string: make it a list, as in [{"key": "environment", "operator": "In", "values": ["prod"]}]`},
		{name: "unknown operator", value: `[{"key": "a", "operator": "Exists"}, {"key": "b", "operator": "NOTIN", "values": ["c"]}]`,
			err: at + `: [1].operator is "NOTIN": use one of !, !=, <, =, ==, >, DoesNotExist, Exists, Gt, In, Lt, NotIn, exists, gt, in, lt, notin`},
		{name: "a null requirement", value: `[null]`, err: at + `: [0].operator is "": use one of !, !=, <, =, ==, >, DoesNotExist, Exists, Gt, In, Lt, NotIn, exists, gt, in, lt, notin`},
		{name: "In of nothing", value: `[{"key": "a", "operator": "In", "values": []}]`,
			err: at + `: [0]: values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty; write it like [{"key": "environment", "operator": "In", "values": ["prod"]}]`},
		{name: "values with Exists", value: `[{"key": "a", "operator": "Exists", "values": ["b"]}]`,
			err: at + `: [0]: values: Invalid value: ["b"]: values set must be empty for exists and does not exist; write it like [{"key": "environment", "operator": "In", "values": ["prod"]}]`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			selector, err := ParseClusterSelector(test.value)
			if diff := cmp.Diff(test.err, message(err)); diff != "" {
				t.Error(diff)
			}
			if err != nil {
				return
			}
			var matched []string
			for name, set := range clusters {
				if selector.Matches(set) {
					matched = append(matched, name)
				}
			}
			slices.Sort(matched)
			if diff := cmp.Diff(test.want, strings.Join(matched, " ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzParseClusterSelector(f *testing.F) {
	for _, seed := range []string{``, `[]`, `null`, `{}`, `[{"key": "a", "operator": "In", "values": ["b", "c"]}, {"key": "d/e", "operator": "!"}]`,
		`[{"key": "a", "operator": ">", "values": ["5"]}]`, `[{"key": "a", "operator": "<", "values": ["x"]}]`, `[null]`} {
		f.Add(seed, "a", "b")
	}
	f.Fuzz(func(t *testing.T, value, key, label string) {
		selector, err := ParseClusterSelector(value)
		if err != nil {
			if !strings.Contains(err.Error(), AnnotationClusterSelector) {
				t.Errorf("%v does not name the annotation", err)
			}
			return
		}
		set := labels.Set{key: label}
		again, err := labels.Parse(selector.String())
		if err != nil {
			t.Fatalf("%q is no label selector: %v", selector, err)
		}
		if selector.Matches(set) != again.Matches(set) {
			t.Errorf("%q does not mean what %q means", value, selector)
		}
	})
}
