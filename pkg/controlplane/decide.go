package controlplane

import (
	"context"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Existing is what the host holds of a federation before Init or Deinit. What is absent is nil.
type Existing struct {
	Namespace  *corev1.Namespace
	Service    *corev1.Service
	DNSService *corev1.Service
	Claim      *corev1.PersistentVolumeClaim
	Deployment *appsv1.Deployment
	// ServiceAccount is the control plane's.
	ServiceAccount *corev1.ServiceAccount
	Secrets        map[string]corev1.Secret
}

// Federation is the name of the federation that the host runs, "" for none.
func (e Existing) Federation() string {
	if e.Namespace == nil {
		return ""
	}
	return e.Namespace.Annotations[AnnotationName]
}

// Initialized says whether the federation API has ever answered.
func (e Existing) Initialized() bool {
	return e.Namespace != nil && e.Namespace.Annotations[AnnotationInitialized] != ""
}

// Decide checks whether options can be made true in a host that holds existing, and says whether that takes up what an
// earlier Init began. Nothing that would lose a federation's state or keys is accepted.
func Decide(o Options, existing Existing) (resume bool, err error) {
	ns := existing.Namespace
	if ns == nil {
		return false, nil
	}
	if ns.DeletionTimestamp != nil {
		return false, fmt.Errorf("namespace %s of host cluster %s is being deleted: wait until it is gone and try again", Namespace, o.HostContext)
	}
	name := existing.Federation()
	if name == "" {
		return false, foreign(o, existing)
	}
	if name != o.Name {
		return false, fmt.Errorf("host cluster %s already runs federation %q: use another host cluster, or remove that federation with kubefed deinit %s --host-cluster-context=%s",
			o.HostContext, name, name, o.HostContext)
	}
	if zone := ns.Annotations[AnnotationDNSZone]; zone != "" && zone != o.DNSZone {
		return true, fmt.Errorf("--dns-zone-name=%s: federation %q has the zone %s, which can't be changed: leave it, or kubefed deinit and init again",
			strings.TrimSuffix(o.DNSZone, "."), name, strings.TrimSuffix(zone, "."))
	}
	if stored := existing.Claim != nil || existing.Deployment != nil; stored && !CredentialsFrom(existing.Secrets).Lasting() {
		return true, fmt.Errorf("federation %q has run in host cluster %s, but its Secrets %s and %s in namespace %s are missing or incomplete: "+
			"restore them from a backup (new ones would lock out its clients and could not read its data), or remove the federation with kubefed deinit",
			name, o.HostContext, SecretCA, SecretKeys, Namespace)
	}
	return true, sameStore(o, existing.Deployment)
}

// foreign refuses to write over objects of ours that belong to nobody's federation.
func foreign(o Options, existing Existing) error {
	if existing.Deployment == nil && existing.Service == nil {
		return nil
	}
	return fmt.Errorf("namespace %s of host cluster %s holds a %s that no kubefed init made (no annotation %s): remove it first",
		Namespace, o.HostContext, Name, AnnotationName)
}

// sameStore refuses to point a federation at another etcd than the one that holds its state.
func sameStore(o Options, deployment *appsv1.Deployment) error {
	if deployment == nil {
		return nil
	}
	had, wanted := storeOf(deployment.Spec.Template.Spec), storeOf(podSpec(o))
	if had == wanted {
		return nil
	}
	return fmt.Errorf("federation %q keeps its state in %s, the flags say %s: it would start empty. Give the --etcd-* flags of the first kubefed init, or kubefed deinit first",
		o.Name, had, wanted)
}

func storeOf(pod corev1.PodSpec) string {
	for _, c := range pod.Containers {
		for _, arg := range c.Args {
			if servers, found := strings.CutPrefix(arg, "--etcd-servers="); found {
				return "etcd at " + servers
			}
		}
	}
	for _, v := range pod.Volumes {
		if v.PersistentVolumeClaim != nil {
			return "an embedded etcd on PersistentVolumeClaim " + v.PersistentVolumeClaim.ClaimName
		}
	}
	return "an embedded etcd without persistent storage"
}

// observe reads what the host holds.
func (h *Host) observe(ctx context.Context) (Existing, error) {
	var e Existing
	ns, err := found(ctx, h, &corev1.Namespace{}, Namespace)
	if err != nil || ns == nil {
		return e, err
	}
	e.Namespace = ns
	if e.Service, err = found(ctx, h, &corev1.Service{}, Name); err != nil {
		return e, err
	}
	if e.DNSService, err = found(ctx, h, &corev1.Service{}, ServiceDNS); err != nil {
		return e, err
	}
	if e.Deployment, err = found(ctx, h, &appsv1.Deployment{}, Name); err != nil {
		return e, err
	}
	if e.ServiceAccount, err = found(ctx, h, &corev1.ServiceAccount{}, Name); err != nil {
		return e, err
	}
	if e.Claim, err = found(ctx, h, &corev1.PersistentVolumeClaim{}, ClaimName); err != nil {
		return e, err
	}
	e.Secrets = map[string]corev1.Secret{}
	for _, name := range []string{SecretCA, SecretKeys, SecretServing, SecretEtcd, SecretDNS, SecretCloud} {
		secret, err := found(ctx, h, &corev1.Secret{}, name)
		if err != nil {
			return e, err
		}
		if secret != nil {
			e.Secrets[name] = *secret
		}
	}
	return e, nil
}

// found reads one object into obj; nil where it does not exist.
func found[T client.Object](ctx context.Context, h *Host, obj T, name string) (T, error) {
	var none T
	key := client.ObjectKey{Name: name, Namespace: Namespace}
	if _, cluster := any(obj).(*corev1.Namespace); cluster {
		key.Namespace = ""
	}
	err := h.client.Get(ctx, key, obj)
	if apierrors.IsNotFound(err) {
		return none, nil
	}
	if err != nil {
		return none, fmt.Errorf("reading %T %s in host cluster %s: %w", obj, key, h.Context, err)
	}
	return obj, nil
}
