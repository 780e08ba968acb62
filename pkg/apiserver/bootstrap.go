package apiserver

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset/typed/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	mcscrd "sigs.k8s.io/mcs-api/config/crd"
	"sigs.k8s.io/yaml"

	"kubefed.dev/kubefed/pkg/apis/crds"
	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// systemNamespaces always exist.
var systemNamespaces = []string{metav1.NamespaceDefault, metav1.NamespaceSystem, metav1.NamespacePublic, federation.SystemNamespace}

// Info is what a federation says of itself in federation.InfoConfigMap.
type Info struct{ Name, DNSZone string }

// bootstrap makes what every federation API holds: its namespaces, its kinds, and the ConfigMap that names it. It writes
// only what is missing or different. It tries again until ctx ends, because another server on the same etcd may be doing
// the same.
func bootstrap(ctx context.Context, config *rest.Config, info Info) error {
	config = rest.AddUserAgent(rest.CopyConfig(config), "federation-bootstrap")
	config.QPS = -1
	core, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	extensions, err := apiextensions.NewForConfig(config)
	if err != nil {
		return err
	}
	definitions, err := ownDefinitions()
	if err != nil {
		return err
	}
	var last error
	err = wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		next := bootstrapOnce(ctx, core, extensions, definitions, info)
		if next != nil && (last == nil || next.Error() != last.Error()) {
			klog.FromContext(ctx).V(2).Info("waiting for the federation's own objects", "reason", next.Error())
		}
		last = next
		if apierrors.IsInvalid(next) {
			return false, next // no other server can help
		}
		return next == nil, nil
	})
	if err != nil {
		return fmt.Errorf("making the federation's own objects: %w (%w)", err, last)
	}
	return nil
}

func bootstrapOnce(ctx context.Context, core kubernetes.Interface, extensions apiextensions.ApiextensionsV1Interface,
	definitions []*apiextensionsv1.CustomResourceDefinition, info Info) error {
	for _, definition := range definitions {
		if err := ensureDefinition(ctx, extensions, definition); err != nil {
			return err
		}
	}
	for _, name := range systemNamespaces {
		if err := ensureNamespace(ctx, core, name); err != nil {
			return err
		}
	}
	if err := ensureInfo(ctx, core, info); err != nil {
		return err
	}
	return served(ctx, core, extensions, definitions)
}

// ownDefinitions reads the definitions that are part of the program.
func ownDefinitions() ([]*apiextensionsv1.CustomResourceDefinition, error) {
	entries, err := crds.Files.ReadDir(".")
	if err != nil {
		return nil, fmt.Errorf("reading the federation's kinds: %w", err)
	}
	// The Multi-Cluster Services API is served beside the federation's own kinds.
	files := map[string][]byte{"serviceexports": mcscrd.ServiceExportCRD, "serviceimports": mcscrd.ServiceImportCRD}
	for _, entry := range entries {
		if files[entry.Name()], err = crds.Files.ReadFile(entry.Name()); err != nil {
			return nil, fmt.Errorf("reading the federation's kinds: %w", err)
		}
	}
	definitions := make([]*apiextensionsv1.CustomResourceDefinition, 0, len(files))
	for _, name := range slices.Sorted(maps.Keys(files)) {
		definition := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(files[name], definition); err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		apiextensionsv1.SetDefaults_CustomResourceDefinition(definition)
		apiextensionsv1.SetDefaults_CustomResourceDefinitionSpec(&definition.Spec)
		definitions = append(definitions, definition)
	}
	return definitions, nil
}

func ensureDefinition(ctx context.Context, extensions apiextensions.ApiextensionsV1Interface, want *apiextensionsv1.CustomResourceDefinition) error {
	client := extensions.CustomResourceDefinitions()
	have, err := client.Get(ctx, want.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = client.Create(ctx, want, metav1.CreateOptions{})
	} else if err == nil && !equality.Semantic.DeepEqual(have.Spec, want.Spec) {
		have = have.DeepCopy()
		have.Spec = want.Spec
		_, err = client.Update(ctx, have, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("defining %s: %w", want.Name, err)
	}
	return nil
}

func ensureNamespace(ctx context.Context, core kubernetes.Interface, name string) error {
	_, err := core.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = core.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	}
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating namespace %s: %w", name, err)
	}
	return nil
}

func ensureInfo(ctx context.Context, core kubernetes.Interface, info Info) error {
	system, err := core.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading the federation's identity: %w", err)
	}
	want := map[string]string{federation.InfoName: info.Name, federation.InfoDNSZone: info.DNSZone, federation.InfoFederation: string(system.UID)}
	client := core.CoreV1().ConfigMaps(federation.SystemNamespace)
	have, err := client.Get(ctx, federation.InfoConfigMap, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: federation.InfoConfigMap}, Data: want}
		_, err = client.Create(ctx, object, metav1.CreateOptions{})
	} else if err == nil && !maps.Equal(have.Data, want) {
		have = have.DeepCopy()
		have.Data = want
		_, err = client.Update(ctx, have, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("writing ConfigMap %s: %w", federation.InfoConfigMap, err)
	}
	return nil
}

// served says what keeps the federation's kinds from being usable.
func served(ctx context.Context, core kubernetes.Interface, extensions apiextensions.ApiextensionsV1Interface, definitions []*apiextensionsv1.CustomResourceDefinition) error {
	for _, definition := range definitions {
		have, err := extensions.CustomResourceDefinitions().Get(ctx, definition.Name, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("reading %s: %w", definition.Name, err)
		}
		established := false
		for _, c := range have.Status.Conditions {
			established = established || c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue
		}
		if !established {
			return fmt.Errorf("%s is not established yet", definition.Name)
		}
	}
	resources := map[string]bool{}
	for _, definition := range definitions {
		for _, version := range definition.Spec.Versions {
			group := schema.GroupVersion{Group: definition.Spec.Group, Version: version.Name}
			if resources[group.String()] {
				continue
			}
			resources[group.String()] = true
			list := &metav1.APIResourceList{}
			// The client would obey the server's wish to ask again in five seconds.
			err := core.Discovery().RESTClient().Get().AbsPath("apis", group.Group, group.Version).MaxRetries(0).Do(ctx).Into(list)
			if err != nil {
				return fmt.Errorf("discovering %s: %w", group, err)
			}
			for _, r := range list.APIResources {
				resources[group.Group+"/"+r.Name] = true
			}
		}
		if !resources[definition.Spec.Group+"/"+definition.Spec.Names.Plural] {
			return fmt.Errorf("%s is not in discovery yet", definition.Name)
		}
	}
	return nil
}
