package node

import (
	"fmt"
	"sort"
	"strconv"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// reader reads the objects that environments and volumes are made of. The error of an object that does not exist is
// apierrors.IsNotFound.
type reader interface {
	configMap(namespace, name string) (*v1.ConfigMap, error)
	secret(namespace, name string) (*v1.Secret, error)
}

// setting is where a container's environment comes from, beside its spec.
type setting struct {
	pod    *v1.Pod
	at     place // with the pod's local address
	reader reader
}

// variables are a container's environment in the order of definition; a later definition of a name replaces the
// earlier one.
type variables struct {
	names  []string
	values map[string]string
}

func (v *variables) set(name, value string) {
	if _, ok := v.values[name]; !ok {
		v.names = append(v.names, name)
	}
	v.values[name] = value
}

func (v *variables) lookup(name string) (string, bool) {
	value, ok := v.values[name]
	return value, ok
}

// environment resolves envFrom and env of c on top of base. Values are expanded, but not rewritten.
func (s setting) environment(c *v1.Container, base map[string]string) (*variables, error) {
	vars := &variables{values: map[string]string{}}
	for _, name := range sortedKeys(base) {
		vars.set(name, base[name])
	}
	for _, from := range c.EnvFrom {
		data, err := s.fromAll(from)
		if err != nil {
			return nil, fmt.Errorf("envFrom of container %s: %w", c.Name, err)
		}
		for _, key := range sortedKeys(data) {
			vars.set(from.Prefix+key, data[key])
		}
	}
	for _, e := range c.Env {
		value, found, err := expand(e.Value, vars.lookup), true, error(nil)
		if e.ValueFrom != nil {
			value, found, err = s.valueFrom(c, e.ValueFrom)
		}
		if err != nil {
			return nil, fmt.Errorf("variable %s of container %s: %w", e.Name, c.Name, err)
		}
		if found {
			vars.set(e.Name, value)
		}
	}
	return vars, nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

func (s setting) fromAll(from v1.EnvFromSource) (map[string]string, error) {
	switch {
	case from.ConfigMapRef != nil:
		return s.configMapData(from.ConfigMapRef.Name, from.ConfigMapRef.Optional)
	case from.SecretRef != nil:
		return s.secretData(from.SecretRef.Name, from.SecretRef.Optional)
	}
	return nil, nil
}

func (s setting) configMapData(name string, optional *bool) (map[string]string, error) {
	m, err := s.reader.configMap(s.pod.Namespace, name)
	if err != nil {
		return nil, unlessOptional(err, optional)
	}
	return m.Data, nil
}

func (s setting) secretData(name string, optional *bool) (map[string]string, error) {
	m, err := s.reader.secret(s.pod.Namespace, name)
	if err != nil {
		return nil, unlessOptional(err, optional)
	}
	data := make(map[string]string, len(m.Data))
	for k, v := range m.Data {
		data[k] = string(v)
	}
	return data, nil
}

// valueFrom says found=false where an optional source is missing: the variable is then not set at all.
func (s setting) valueFrom(c *v1.Container, from *v1.EnvVarSource) (value string, found bool, err error) {
	fromKey := func(data map[string]string, err error, name, key string, optional *bool) (string, bool, error) {
		if err != nil {
			return "", false, err
		}
		value, ok := data[key]
		if !ok && (optional == nil || !*optional) {
			return "", false, fmt.Errorf("%s has no key %q", name, key)
		}
		return value, ok, nil
	}
	switch {
	case from.ConfigMapKeyRef != nil:
		ref := from.ConfigMapKeyRef
		data, err := s.configMapData(ref.Name, ref.Optional)
		return fromKey(data, err, "config map "+ref.Name, ref.Key, ref.Optional)
	case from.SecretKeyRef != nil:
		ref := from.SecretKeyRef
		data, err := s.secretData(ref.Name, ref.Optional)
		return fromKey(data, err, "secret "+ref.Name, ref.Key, ref.Optional)
	case from.FieldRef != nil:
		value, err := s.field(from.FieldRef.FieldPath)
		return value, err == nil, err
	case from.ResourceFieldRef != nil:
		value, err := resourceField(s.pod, c, from.ResourceFieldRef)
		return value, err == nil, err
	}
	return "", false, fmt.Errorf("its source is not supported by local clusters")
}

// field resolves a field path of the downward API.
func (s setting) field(path string) (string, error) {
	p := s.pod
	if name, key, ok := strings.Cut(strings.TrimSuffix(path, "']"), "['"); ok {
		switch name {
		case "metadata.labels":
			return p.Labels[key], nil
		case "metadata.annotations":
			return p.Annotations[key], nil
		}
	}
	switch path {
	case "metadata.name":
		return p.Name, nil
	case "metadata.namespace":
		return p.Namespace, nil
	case "metadata.uid":
		return string(p.UID), nil
	case "metadata.labels":
		return formatMap(p.Labels), nil
	case "metadata.annotations":
		return formatMap(p.Annotations), nil
	case "spec.nodeName":
		return p.Spec.NodeName, nil
	case "spec.serviceAccountName":
		return p.Spec.ServiceAccountName, nil
	case "status.podIP", "status.podIPs":
		return s.at.podIP, nil
	case "status.hostIP", "status.hostIPs":
		return s.at.hostIP, nil
	}
	return "", fmt.Errorf("field %s is not known; see the downward API", path)
}

func formatMap(m map[string]string) string {
	var lines []string
	for _, k := range sortedKeys(m) {
		lines = append(lines, k+"="+strconv.Quote(m[k]))
	}
	return strings.Join(lines, "\n")
}

// resourceField gives a container's limit or request in units of the divisor, rounded up. A limit that is not set is
// the node's whole capacity.
func resourceField(pod *v1.Pod, c *v1.Container, ref *v1.ResourceFieldSelector) (string, error) {
	for i := range pod.Spec.Containers {
		if pod.Spec.Containers[i].Name == ref.ContainerName {
			c = &pod.Spec.Containers[i]
		}
	}
	kind, name, _ := strings.Cut(ref.Resource, ".")
	var q resource.Quantity
	switch kind {
	case "limits":
		var set bool
		if q, set = c.Resources.Limits[v1.ResourceName(name)]; !set {
			q = capacity(Config{})[v1.ResourceName(name)]
		}
	case "requests":
		q = c.Resources.Requests[v1.ResourceName(name)]
	default:
		return "", fmt.Errorf("resource %s is not known; it begins with limits or requests", ref.Resource)
	}
	divisor := ref.Divisor
	if divisor.IsZero() {
		divisor = resource.MustParse("1")
	}
	if name == string(v1.ResourceCPU) {
		return strconv.FormatInt((q.MilliValue()+divisor.MilliValue()-1)/divisor.MilliValue(), 10), nil
	}
	return strconv.FormatInt((q.Value()+divisor.Value()-1)/divisor.Value(), 10), nil
}
