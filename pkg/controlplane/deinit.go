package controlplane

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// DeinitOptions say which federation goes.
type DeinitOptions struct {
	Name string
	// Force removes it although clusters are still joined or can't be listed.
	Force bool
	// Timeout bounds the wait until everything is gone.
	Timeout time.Duration
}

// Removal says what Deinit found and did.
type Removal struct {
	// Found is false where the host runs no federation of this name.
	Found bool
	// Members are the clusters that were still joined; what the federation made there stays. Unknown says why they
	// could not be listed.
	Members []string
	Unknown string
	// NamespaceKept says what else is in the host's namespace, "" where the namespace was removed.
	NamespaceKept string
	// Context and WasCurrent say whether a kubeconfig context was removed, and whether it was the current one.
	Context, WasCurrent bool
}

// Deinit removes all that Init made in the host, and the kubeconfig context. It is idempotent, and works on what a
// half-done Init left. Members are not touched: it refuses while clusters are joined, unless forced.
func Deinit(ctx context.Context, h *Host, o DeinitOptions, kubeconfig clientcmd.ConfigAccess, progress Progress) (Removal, error) {
	var r Removal
	progress("checking host cluster %s", h.Context)
	if err := h.reachable(ctx); err != nil {
		return r, err
	}
	existing, err := h.observe(ctx)
	if err != nil {
		return r, err
	}
	if name := existing.Federation(); name != "" && name != o.Name {
		return r, fmt.Errorf("host cluster %s runs federation %q, not %q: name that one to remove it", h.Context, name, o.Name)
	}
	ca := CredentialsFrom(existing.Secrets).CACert
	if existing.Federation() == o.Name {
		r.Found = true
		if r.Members, r.Unknown, err = h.joined(ctx, o, existing, kubeconfig); err != nil {
			return r, err
		}
		if r.NamespaceKept, err = h.remove(ctx, o, progress); err != nil {
			return r, err
		}
	}
	r.Context, r.WasCurrent, err = removeContext(kubeconfig, o.Name, h.Context, ca)
	return r, err
}

// joined lists the clusters that are still joined and refuses to go on without force while there are any.
func (h *Host) joined(ctx context.Context, o DeinitOptions, existing Existing, kubeconfig clientcmd.ConfigAccess) (members []string, unknown string, err error) {
	if !existing.Initialized() {
		return nil, "", nil // its API has never answered: nothing can have joined
	}
	members, err = listClusters(ctx, o.Name, existing, kubeconfig)
	switch {
	case err != nil && !o.Force:
		return nil, "", fmt.Errorf("asking federation %q which clusters are joined: %w; repair it with kubefed init, or remove it all the same with --force", o.Name, err)
	case err != nil:
		return nil, err.Error(), nil
	case len(members) > 0 && !o.Force:
		return members, "", fmt.Errorf("federation %q still has clusters: %s. Let them go first with kubefed unjoin NAME (which says what happens to their workloads), or leave everything in them as it is with --force",
			o.Name, strings.Join(members, ", "))
	}
	return members, "", nil
}

// removed are the kinds that Init makes, in the order in which they go: first what runs.
func removed() []client.ObjectList {
	return []client.ObjectList{
		&appsv1.DeploymentList{}, &corev1.ServiceList{}, &corev1.PersistentVolumeClaimList{}, &corev1.SecretList{}, &corev1.ServiceAccountList{},
	}
}

// remove deletes what carries the federation's labels, and the namespace where nothing else is in it.
func (h *Host) remove(ctx context.Context, o DeinitOptions, progress Progress) (kept string, err error) {
	mine := client.MatchingLabels{labelManagedBy: managedBy, labelInstance: o.Name}
	for _, list := range removed() {
		objects, err := h.list(ctx, list, mine)
		if err != nil {
			return "", err
		}
		for _, obj := range objects {
			progress("removing %s %s", strings.TrimPrefix(fmt.Sprintf("%T", obj), "*v1."), obj.GetName())
			if err := h.client.Delete(ctx, obj, client.PropagationPolicy("Background")); client.IgnoreNotFound(err) != nil {
				return "", fmt.Errorf("removing %s %s from host cluster %s: %w; run kubefed deinit again", fmt.Sprintf("%T", obj), obj.GetName(), h.Context, err)
			}
		}
	}
	err = wait(ctx, o.Timeout, "the control plane to be gone", progress, func(ctx context.Context) (string, error) {
		pods, err := h.pods(ctx, o.Name)
		if err != nil {
			return "", err
		}
		left := make([]string, 0, len(pods))
		for _, pod := range pods {
			left = append(left, "pod "+pod.Name)
		}
		for _, list := range removed() {
			objects, err := h.list(ctx, list, mine)
			if err != nil {
				return "", err
			}
			for _, obj := range objects {
				left = append(left, obj.GetName())
			}
		}
		if len(left) > 0 {
			return "still there: " + strings.Join(left, ", "), nil
		}
		return "", nil
	})
	if err != nil {
		return "", fmt.Errorf("%w; run kubefed deinit again, or look with: kubectl --context=%s -n %s get all", err, h.Context, Namespace)
	}
	return h.removeNamespace(ctx, o, progress)
}

func (h *Host) list(ctx context.Context, list client.ObjectList, opts ...client.ListOption) ([]client.Object, error) {
	if err := h.client.List(ctx, list, append(opts, client.InNamespace(Namespace))...); err != nil {
		return nil, fmt.Errorf("listing %T in namespace %s of host cluster %s: %w", list, Namespace, h.Context, err)
	}
	return items(list), nil
}

func items(list client.ObjectList) []client.Object {
	var all []client.Object
	switch l := list.(type) {
	case *appsv1.DeploymentList:
		all = pointers[appsv1.Deployment](l.Items)
	case *corev1.ServiceList:
		all = pointers[corev1.Service](l.Items)
	case *corev1.PersistentVolumeClaimList:
		all = pointers[corev1.PersistentVolumeClaim](l.Items)
	case *corev1.SecretList:
		all = pointers[corev1.Secret](l.Items)
	case *corev1.ServiceAccountList:
		all = pointers[corev1.ServiceAccount](l.Items)
	case *corev1.ConfigMapList:
		all = pointers[corev1.ConfigMap](l.Items)
	}
	return all
}

func pointers[T any, P interface {
	*T
	client.Object
}](values []T) []client.Object {
	all := make([]client.Object, len(values))
	for i := range values {
		all[i] = P(&values[i])
	}
	return all
}

// removeNamespace deletes the namespace, unless something else lives in it, such as what kubefed join made where this
// cluster is a member of a federation too. Then it only takes this federation's annotations off.
func (h *Host) removeNamespace(ctx context.Context, o DeinitOptions, progress Progress) (kept string, err error) {
	var others []string
	for _, list := range append(removed(), &corev1.ConfigMapList{}) {
		objects, err := h.list(ctx, list)
		if err != nil {
			return "", err
		}
		for _, obj := range objects {
			if name := obj.GetName(); name != "default" && name != "kube-root-ca.crt" {
				others = append(others, name)
			}
		}
	}
	ns := &corev1.Namespace{}
	ns.Name = Namespace
	if len(others) > 0 {
		slices.Sort(others)
		patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:null,%q:null,%q:null,%q:null}}}`,
			AnnotationName, AnnotationNameV1, AnnotationDNSZone, AnnotationInitialized)
		if err := h.client.Patch(ctx, ns, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
			return "", fmt.Errorf("taking the federation's annotations off namespace %s of host cluster %s: %w; run kubefed deinit again", Namespace, h.Context, err)
		}
		return strings.Join(slices.Compact(others), ", "), nil
	}
	if err := h.client.Delete(ctx, ns); client.IgnoreNotFound(err) != nil {
		return "", fmt.Errorf("removing namespace %s from host cluster %s: %w; run kubefed deinit again", Namespace, h.Context, err)
	}
	return "", wait(ctx, o.Timeout, "namespace "+Namespace+" to be gone", progress, func(ctx context.Context) (string, error) {
		err := h.client.Get(ctx, client.ObjectKeyFromObject(ns), ns)
		if apierrors.IsNotFound(err) {
			return "", nil
		}
		return "the host is still deleting it", err
	})
}
