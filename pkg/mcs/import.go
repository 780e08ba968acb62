package mcs

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/mcs-api/config/crd"
	mcsv1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
	"sigs.k8s.io/yaml"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// desired is what every member is to hold for one import.
type desired struct {
	// spec is nil where nothing is imported.
	spec                *mcsv1.ServiceImportSpec
	labels, annotations map[string]string
	clusters            []string
	exports             []export
	// unknown are clusters that can't be read: what members have of them stays.
	unknown map[string]bool
}

// keep adds what clusters that can't be read gave to the import as it is: their names and ports.
func (d *desired) keep(have *mcsv1.ServiceImport) {
	kept := false
	for _, c := range have.Status.Clusters {
		if d.unknown[c.Cluster] && !slices.Contains(d.clusters, c.Cluster) {
			d.clusters, kept = append(d.clusters, c.Cluster), true
		}
	}
	if !kept {
		return
	}
	slices.Sort(d.clusters)
	for _, p := range have.Spec.Ports {
		if !slices.ContainsFunc(d.spec.Ports, func(o mcsv1.ServicePort) bool {
			return o.Name == p.Name || o.Protocol == p.Protocol && o.Port == p.Port
		}) {
			d.spec.Ports = append(d.spec.Ports, p)
		}
	}
}

// object is the ServiceImport of a name.
func (d desired) object(federationName string, key types.NamespacedName) *mcsv1.ServiceImport {
	o := &mcsv1.ServiceImport{
		TypeMeta:   metav1.TypeMeta{APIVersion: mcsv1.GroupVersion.String(), Kind: "ServiceImport"},
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name, Labels: map[string]string{}, Annotations: map[string]string{}},
		Spec:       *d.spec,
	}
	maps.Copy(o.Labels, d.labels)
	maps.Copy(o.Annotations, d.annotations)
	o.Labels[LabelImport] = federationName
	for _, c := range d.clusters {
		o.Status.Clusters = append(o.Status.Clusters, mcsv1.ClusterStatus{Cluster: c})
	}
	o.Status.EndpointSliceObjects = mcsv1.EndpointSliceObjectsPresent
	return o
}

// serviceImport makes the member's ServiceImport as wanted. One that someone else made is left alone.
func (m *member) serviceImport(ctx context.Context, key types.NamespacedName, want desired) error {
	if err := m.define(ctx); err != nil {
		return err
	}
	o := want.object(m.name, key)
	if want.spec.Type == mcsv1.ClusterSetIP {
		o.Annotations[AnnotationDerivedService] = derivedName(key.Name)
	}
	resource := m.Dynamic.Resource(importGVR).Namespace(key.Namespace)
	found, err := resource.Get(ctx, key.Name, metav1.GetOptions{})
	have := &mcsv1.ServiceImport{}
	switch {
	case err == nil:
		if found.GetLabels()[LabelImport] != m.name {
			return fmt.Errorf("cluster %s has a ServiceImport %s that is not the federation's: it is left alone", m.Name, key)
		}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(found.Object, have); err != nil {
			return err
		}
	case !apierrors.IsNotFound(err):
		return fmt.Errorf("reading ServiceImport %s of cluster %s: %w", key, m.Name, err)
	}
	if err != nil || !equality.Semantic.DeepEqual(have.Spec, o.Spec) || !within(o.Labels, have.Labels) || !within(o.Annotations, have.Annotations) {
		if err := m.apply(ctx, importGVR, o); err != nil {
			return err
		}
	}
	if equality.Semantic.DeepEqual(have.Status.Clusters, o.Status.Clusters) && have.Status.EndpointSliceObjects == o.Status.EndpointSliceObjects {
		return nil
	}
	u, err := statusOf(o)
	if err != nil {
		return err
	}
	_, err = resource.ApplyStatus(ctx, key.Name, u, metav1.ApplyOptions{FieldManager: federation.FieldManager, Force: true})
	return err
}

func within(want, have map[string]string) bool {
	for k, v := range want {
		if have[k] != v {
			return false
		}
	}
	return true
}

// statusOf is a ServiceImport with nothing but its status.
func statusOf(o *mcsv1.ServiceImport) (*unstructured.Unstructured, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return nil, err
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": content["apiVersion"], "kind": content["kind"], "status": content["status"],
		"metadata": map[string]any{"name": o.Name, "namespace": o.Namespace},
	}}, nil
}

func (m *member) removeImport(ctx context.Context, key types.NamespacedName) error {
	found, err := m.Dynamic.Resource(importGVR).Namespace(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
	if notFound(err) {
		return nil
	}
	if err != nil || found.GetLabels()[LabelImport] != m.name {
		return err
	}
	return m.remove(ctx, importGVR, found)
}

var definitionGVR = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

// define makes sure that the member serves ServiceImports. A definition that is there is never changed.
func (m *member) define(ctx context.Context) error {
	m.mu.Lock()
	defined := m.defined
	m.mu.Unlock()
	if defined {
		return nil
	}
	_, err := m.Dynamic.Resource(importGVR).Namespace(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{Limit: 1})
	if notFound(err) {
		var definition unstructured.Unstructured
		if err := yaml.Unmarshal(crd.ServiceImportCRD, &definition.Object); err != nil {
			return err
		}
		_, err = m.Dynamic.Resource(definitionGVR).Create(ctx, &definition, metav1.CreateOptions{FieldManager: federation.FieldManager})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("defining ServiceImport in cluster %s: %w", m.Name, err)
		}
		return fmt.Errorf("cluster %s does not serve ServiceImports yet", m.Name)
	}
	if err != nil {
		return err
	}
	m.mu.Lock()
	m.defined = true
	m.mu.Unlock()
	return nil
}

// usable says whether an address can stand in an EndpointSlice, as Kubernetes validates it.
func usable(text string) bool {
	a, err := netip.ParseAddr(text)
	return err == nil && !a.IsLoopback() && !a.IsUnspecified() && !a.IsLinkLocalUnicast() && !a.IsMulticast()
}
