package placement

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	resourcehelper "k8s.io/component-helpers/resource"
)

// requestOf is the effective request of one pod of a template: containers, init containers, sidecars and overhead as
// the scheduler counts them. nil where there is no template.
func requestOf(obj *unstructured.Unstructured, template []string) corev1.ResourceList {
	if template == nil {
		return nil
	}
	// Only what counts is read: to convert whole templates would cost more than to decide.
	value, found, _ := unstructured.NestedFieldNoCopy(obj.Object, slices.Concat(template, []string{"spec"})...)
	spec, _ := value.(map[string]any)
	if !found || spec == nil {
		return nil
	}
	pod := &corev1.Pod{Spec: corev1.PodSpec{
		Containers: containersOf(spec["containers"]), InitContainers: containersOf(spec["initContainers"]), Overhead: resources(spec["overhead"]),
	}}
	if r := requirements(spec["resources"]); r.Requests != nil {
		pod.Spec.Resources = &r
	}
	request := resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{})
	for name := range request {
		if !countsAsRoom(name) {
			delete(request, name)
		}
	}
	request[corev1.ResourcePods] = *resource.NewQuantity(1, resource.DecimalSI)
	return request
}

// countsAsRoom says whether Cluster.status.free has a resource.
func countsAsRoom(name corev1.ResourceName) bool {
	return name == corev1.ResourceCPU || name == corev1.ResourceMemory || strings.Contains(string(name), "/")
}

func containersOf(list any) []corev1.Container {
	items, _ := list.([]any)
	containers := make([]corev1.Container, 0, len(items))
	for _, item := range items {
		m, _ := item.(map[string]any)
		c := corev1.Container{Resources: requirements(m["resources"])}
		if policy, _ := m["restartPolicy"].(string); policy != "" {
			always := corev1.ContainerRestartPolicy(policy)
			c.RestartPolicy = &always
		}
		containers = append(containers, c)
	}
	return containers
}

// requirements reads requests; where there is none for a resource its limit is the request, as it will be in the pod.
func requirements(value any) corev1.ResourceRequirements {
	m, _ := value.(map[string]any)
	requests, limits := resources(m["requests"]), resources(m["limits"])
	for name, limit := range limits {
		if _, has := requests[name]; !has {
			if requests == nil {
				requests = corev1.ResourceList{}
			}
			requests[name] = limit
		}
	}
	return corev1.ResourceRequirements{Requests: requests}
}

func resources(value any) corev1.ResourceList {
	m, _ := value.(map[string]any)
	if len(m) == 0 {
		return nil
	}
	list := make(corev1.ResourceList, len(m))
	for name, amount := range m {
		text, ok := amount.(string)
		if !ok {
			continue
		}
		if q, err := resource.ParseQuantity(text); err == nil { // the API server has validated it
			list[corev1.ResourceName(name)] = q
		}
	}
	return list
}
