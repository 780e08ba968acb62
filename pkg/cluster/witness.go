package cluster

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/probe"
)

// WitnessName is the name of the witness's Deployment and Service in a member.
const WitnessName = "witness"

// WitnessRole lets the federation ask the witness, and no other Service.
const WitnessRole = "federation.kubefed.dev:witness"

const witnessPort = 8080

// witnessObjects are the witness that join installs in a member, in the order of writing. It has no credentials: no token is mounted,
// and nobody gave its service account a right.
func witnessObjects(image string) []client.Object {
	labels := map[string]string{"app.kubernetes.io/managed-by": "kubefed", "app.kubernetes.io/name": WitnessName}
	meta := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: federation.SystemNamespace, Name: name, Labels: labels}
	}
	selector := map[string]string{"app.kubernetes.io/name": WitnessName}
	return []client.Object{
		&rbacv1.Role{ObjectMeta: meta(WitnessRole), Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{""}, Resources: []string{"services/proxy"}, ResourceNames: []string{WitnessName}, Verbs: []string{"create"},
		}}},
		&rbacv1.RoleBinding{ObjectMeta: meta(WitnessRole),
			Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: federation.SystemNamespace, Name: ServiceAccount}},
			RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: WitnessRole}},
		&corev1.Service{ObjectMeta: meta(WitnessName), Spec: corev1.ServiceSpec{
			Selector: selector,
			// Without a name: the right to ask it then needs none.
			Ports: []corev1.ServicePort{{Port: witnessPort, TargetPort: intstr.FromInt32(witnessPort)}},
		}},
		&appsv1.Deployment{ObjectMeta: meta(WitnessName), Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To[int32](1),
			Selector: &metav1.LabelSelector{MatchLabels: selector},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: witnessPod(image)},
		}},
	}
}

// witnessPod meets the Pod Security Standard "restricted".
func witnessPod(image string) corev1.PodSpec {
	return corev1.PodSpec{
		AutomountServiceAccountToken: ptr.To(false),
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: ptr.To(true), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Containers: []corev1.Container{{
			Name: WitnessName, Image: image,
			Env:   []corev1.EnvVar{{Name: "POD_IP", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "status.podIP"}}}},
			Ports: []corev1.ContainerPort{{ContainerPort: witnessPort}},
			ReadinessProbe: &corev1.Probe{
				ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromInt32(witnessPort)}},
				PeriodSeconds: 5,
			},
			Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("16Mi")},
				Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("64Mi")},
			},
			SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: ptr.To(false), ReadOnlyRootFilesystem: ptr.To(true),
				Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			},
		}},
	}
}

// dismissWitness takes away what an earlier join with a witness made.
func (s *survey) dismissWitness(ctx context.Context) (changed bool, err error) {
	for _, obj := range witnessObjects("") {
		err := s.member.client.Delete(ctx, obj, client.PropagationPolicy(metav1.DeletePropagationBackground))
		if client.IgnoreNotFound(err) != nil {
			form, _ := applyForm(obj)
			return changed, fmt.Errorf("deleting %s in %s: %w", describe(form), s.member.what, err)
		}
		changed = changed || err == nil
	}
	return changed, nil
}

// Targets are the API servers of all members, as witnesses ask them: any answer is a sign of life, but for those of a load
// balancer that finds nobody behind it.
func (r *Registry) Targets() []probe.Target {
	r.mu.Lock()
	defer r.mu.Unlock()
	var targets []probe.Target
	for name, c := range r.connections {
		targets = append(targets, probe.Target{
			Cluster: name, Address: addressOf(c.base), Type: federation.ProbeHTTPS, Host: c.base.Hostname(),
			Path: strings.TrimSuffix(c.base.Path, "/") + "/readyz", MinStatus: 100, MaxStatus: 501, CA: c.ca,
		})
	}
	return targets
}

func addressOf(base *url.URL) string {
	port := base.Port()
	if port == "" {
		port = "443"
	}
	return net.JoinHostPort(base.Hostname(), port)
}
