package override

import (
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// ours says whether a label or annotation is the federation's own, which no policy may touch.
func ours(key string) bool {
	domain, _, found := strings.Cut(key, "/")
	return found && domain == federation.GroupName
}

func checkKeys(o *federation.MapOverride) error {
	check := func(key string) error {
		if ours(key) {
			return fmt.Errorf("%s is the federation's own: leave it out", key)
		}
		if problems := validation.IsQualifiedName(strings.ToLower(key)); len(problems) > 0 {
			return fmt.Errorf("key %q: %s", key, strings.Join(problems, "; "))
		}
		return nil
	}
	for key := range o.Set {
		if err := check(key); err != nil {
			return err
		}
	}
	for _, key := range o.Remove {
		if err := check(key); err != nil {
			return err
		}
	}
	return nil
}

func checkLabels(o *federation.MapOverride) error {
	if o == nil {
		return nil
	}
	for key, value := range o.Set {
		if problems := validation.IsValidLabelValue(value); len(problems) > 0 {
			return fmt.Errorf("value of %s: %s", key, strings.Join(problems, "; "))
		}
	}
	return checkKeys(o)
}

func checkAnnotations(o *federation.MapOverride) error {
	if o == nil {
		return nil
	}
	return checkKeys(o)
}

// variables makes of environment variables what an unstructured object holds.
func variables(from []corev1.EnvVar) ([]any, error) {
	out := make([]any, 0, len(from))
	for i := range from {
		if problems := validation.IsEnvVarName(from[i].Name); len(problems) > 0 {
			return nil, fmt.Errorf("name %q: %s", from[i].Name, strings.Join(problems, "; "))
		}
		if from[i].Value != "" && from[i].ValueFrom != nil {
			return nil, errors.New(from[i].Name + ": give either value or valueFrom")
		}
		m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&from[i])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", from[i].Name, err)
		}
		out = append(out, m)
	}
	return out, nil
}
