package policy

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/selection"
)

// Annotations of Federation v1 that a user sets on an object in the federation API.
const (
	AnnotationDeploymentPreferences = "federation.kubernetes.io/deployment-preferences"
	AnnotationReplicaSetPreferences = "federation.kubernetes.io/replica-set-preferences"
	AnnotationJobPreferences        = "federation.kubernetes.io/job-preferences"
	AnnotationClusterSelector       = "federation.alpha.kubernetes.io/cluster-selector"
)

// Preferences say how an object's replicas (a Job's parallelism) are divided: the value of Federation v1's three
// preferences annotations.
type Preferences struct {
	// Rebalance lets replicas that run move to where the preferences want them. Without it they stay.
	Rebalance bool
	// Clusters by name. "*" stands for every cluster that is not named; without it such a cluster gets nothing.
	Clusters map[string]ClusterPreferences
}

// ClusterPreferences are the preferences for one cluster.
type ClusterPreferences struct {
	MinReplicas int64 `json:"minReplicas"`
	// MaxReplicas is nil where there is no limit.
	MaxReplicas *int64 `json:"maxReplicas"`
	// Weight of the cluster among the others, at most 2^31-1. With 0, which is what an absent weight means, a cluster
	// gets no more than its minimum.
	Weight int64 `json:"weight"`
}

// ParsePreferences reads the value of a preferences annotation. As in Federation v1 the case of field names does not
// matter and unknown fields are ignored. Federation v1 took what it could not read for no annotation at all; here that is
// an error, and so are numbers that can't be meant: negative ones, and a minimum above the maximum.
func ParsePreferences(annotation, value string) (Preferences, error) {
	const example = `{"rebalance": false, "clusters": {"*": {"weight": 1}}}`
	var raw struct {
		Rebalance bool                       `json:"rebalance"`
		Clusters  map[string]json.RawMessage `json:"clusters"`
	}
	if err := decodeV1(annotation, "", []byte(value), &raw, example); err != nil {
		return Preferences{}, err
	}
	p := Preferences{Rebalance: raw.Rebalance, Clusters: make(map[string]ClusterPreferences, len(raw.Clusters))}
	for _, name := range slices.Sorted(maps.Keys(raw.Clusters)) { // sorted, so that of several errors it is always the same
		at := fmt.Sprintf("clusters[%q]", name)
		var c ClusterPreferences
		if err := decodeV1(annotation, at, raw.Clusters[name], &c, example); err != nil {
			return Preferences{}, err
		}
		if err := c.check(); err != nil {
			return Preferences{}, fmt.Errorf("annotation %s: %s.%w", annotation, at, err)
		}
		p.Clusters[name] = c
	}
	return p, nil
}

func (c ClusterPreferences) check() error {
	switch {
	case c.MinReplicas < 0:
		return fmt.Errorf("minReplicas is %d: set it to 0 or more", c.MinReplicas)
	case c.MaxReplicas != nil && *c.MaxReplicas < 0:
		return fmt.Errorf("maxReplicas is %d: set it to 0 or more, or leave it out for no limit", *c.MaxReplicas)
	case c.MaxReplicas != nil && c.MinReplicas > *c.MaxReplicas:
		return fmt.Errorf("minReplicas %d is above maxReplicas %d: lower the one or raise the other", c.MinReplicas, *c.MaxReplicas)
	case c.Weight < 0 || c.Weight > math.MaxInt32:
		return fmt.Errorf("weight is %d: set it between 0 and %d", c.Weight, math.MaxInt32)
	}
	return nil
}

// v1Operators are Federation v1's spellings of the operators of a cluster selector.
var v1Operators = map[string]selection.Operator{
	"In": selection.In, "in": selection.In, "NotIn": selection.NotIn, "notin": selection.NotIn,
	"=": selection.Equals, "==": selection.DoubleEquals, "!=": selection.NotEquals,
	"Exists": selection.Exists, "exists": selection.Exists, "DoesNotExist": selection.DoesNotExist, "!": selection.DoesNotExist,
	"Gt": selection.GreaterThan, "gt": selection.GreaterThan, ">": selection.GreaterThan,
	"Lt": selection.LessThan, "lt": selection.LessThan, "<": selection.LessThan,
}

// ParseClusterSelector reads the value of AnnotationClusterSelector: a JSON list of requirements on the labels of a
// Cluster, all of which must hold. An empty list selects every cluster, as does an object without the annotation.
func ParseClusterSelector(value string) (labels.Selector, error) {
	const example = `[{"key": "environment", "operator": "In", "values": ["prod"]}]`
	var list []json.RawMessage
	if err := decodeV1(AnnotationClusterSelector, "", []byte(value), &list, example); err != nil {
		return nil, err
	}
	selector := labels.NewSelector()
	for i, item := range list {
		at := fmt.Sprintf("[%d]", i)
		var r struct {
			Key      string   `json:"key"`
			Operator string   `json:"operator"`
			Values   []string `json:"values"`
		}
		if err := decodeV1(AnnotationClusterSelector, at, item, &r, example); err != nil {
			return nil, err
		}
		operator, known := v1Operators[r.Operator]
		if !known {
			return nil, fmt.Errorf("annotation %s: %s.operator is %q: use one of %s", AnnotationClusterSelector, at, r.Operator,
				strings.Join(slices.Sorted(maps.Keys(v1Operators)), ", "))
		}
		requirement, err := labels.NewRequirement(r.Key, operator, r.Values)
		if err != nil {
			return nil, fmt.Errorf("annotation %s: %s: %w; write it like %s", AnnotationClusterSelector, at, err, example)
		}
		selector = selector.Add(*requirement)
	}
	return selector, nil
}

// decodeV1 reads JSON, and says in a user's words what is wrong with it. at is the path of data in the annotation.
func decodeV1(annotation, at string, data []byte, into any, example string) error {
	err := json.Unmarshal(data, into)
	if err == nil {
		return nil
	}
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return fmt.Errorf("annotation %s is not JSON: %w; write it like %s", annotation, err, example)
	}
	want := "an object"
	switch wrong.Type.Kind() {
	case reflect.Int64:
		want = "a whole number"
	case reflect.Bool:
		want = "true or false"
	case reflect.String:
		want = "a string"
	case reflect.Slice:
		want = "a list"
	}
	path := cmp.Or(strings.Trim(at+"."+wrong.Field, "."), "the value")
	return fmt.Errorf("annotation %s: %s is a JSON %s: make it %s, as in %s", annotation, path, wrong.Value, want, example)
}

// preferencesOf are the preferences annotations of the kinds that have one.
var preferencesOf = map[schema.GroupKind]string{
	{Group: "apps", Kind: "Deployment"}: AnnotationDeploymentPreferences,
	{Group: "apps", Kind: "ReplicaSet"}: AnnotationReplicaSetPreferences,
	{Group: "batch", Kind: "Job"}:       AnnotationJobPreferences,
}

// PreferencesAnnotation is the preferences annotation of a kind, "" where it has none.
func PreferencesAnnotation(gk schema.GroupKind) string { return preferencesOf[gk] }

// CheckAnnotations says what is wrong with Federation v1's annotations on an object of a kind.
func CheckAnnotations(gk schema.GroupKind, annotations map[string]string) error {
	if key := preferencesOf[gk]; key != "" && annotations[key] != "" {
		if _, err := ParsePreferences(key, annotations[key]); err != nil {
			return err
		}
	}
	if value := annotations[AnnotationClusterSelector]; value != "" {
		if _, err := ParseClusterSelector(value); err != nil {
			return err
		}
	}
	return nil
}
