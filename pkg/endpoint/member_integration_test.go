package endpoint

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"kubefed.dev/kubefed/internal/playground"
	"kubefed.dev/kubefed/internal/testprogram"
	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/cluster"
	"kubefed.dev/kubefed/pkg/dns"
)

// realMember is one real cluster that runs pods of the demo's web server.
type realMember struct {
	*testprogram.Process
	*cluster.Member
	clients *kubernetes.Clientset
}

func startMember(t *testing.T, name string) *realMember {
	t.Helper()
	dir := t.TempDir()
	addresses, err := playground.Reserve(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = playground.Release(addresses, dir) })
	images, err := json.Marshal(map[string]string{"kubefed.dev/demo-web": testprogram.Find(t, "demo-web")})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "images.json"), images, 0o600); err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(dir, name)
	p := testprogram.Start(t, home+".log", "local-cluster", "--name", name, "--dir", home, "--ip-range", addresses.String(),
		"--images-file", filepath.Join(dir, "images.json"))
	m := &realMember{Process: p}
	var config *rest.Config
	eventually(t, 90*time.Second, func() string {
		if config, err = clientcmd.BuildConfigFromFlags("", filepath.Join(home, "kubeconfig")); err != nil {
			return err.Error()
		}
		config.QPS = -1
		if m.clients, err = kubernetes.NewForConfig(config); err != nil {
			return err.Error()
		}
		if _, err = m.clients.CoreV1().ServiceAccounts("default").Get(t.Context(), "default", metav1.GetOptions{}); err != nil {
			return err.Error()
		}
		return ""
	})
	dyn, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	m.Member = &cluster.Member{Name: name, Config: config, Dynamic: dyn}
	return m
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

var labelled = map[string]string{federation.LabelFederation: "fellowship"}

func (m *realMember) web(t *testing.T, name string, replicas int32, kind corev1.ServiceType) {
	t.Helper()
	app := map[string]string{"app": name}
	must[*appsv1.Deployment](t)(m.clients.AppsV1().Deployments("default").Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: app}, Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: app},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{
				Name: "web", Image: "kubefed.dev/demo-web:1", Env: []corev1.EnvVar{{Name: "PORT", Value: "8080"}},
				ReadinessProbe: &corev1.Probe{PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromInt32(8080)}}},
			}}},
		}},
	}, metav1.CreateOptions{}))
	must[*corev1.Service](t)(m.clients.CoreV1().Services("default").Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labelled},
		Spec:       corev1.ServiceSpec{Type: kind, Selector: app, Ports: []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromInt32(8080)}}},
	}, metav1.CreateOptions{}))
}

// becomes waits until an object's endpoint in the cluster has a state and a reason, and returns it.
func becomes(t *testing.T, c *Collector, key Key, state dns.State, reason string, limit time.Duration) Observed {
	t.Helper()
	var got Observed
	eventually(t, limit, func() string {
		all := c.Endpoints(key)
		if len(all) != 1 {
			return fmt.Sprintf("%d endpoints of %v", len(all), key)
		}
		if got = all[0]; got.State == state && got.Reason == reason {
			return ""
		}
		return fmt.Sprintf("%v is %s (%s: %s), not %s (%s)", key, got.State, got.Reason, got.Message, state, reason)
	})
	return got
}

func start(t *testing.T, c *Collector) *Collector {
	t.Helper()
	done := make(chan error, 1)
	ctx, stop := contextOf(t)
	go func() { done <- c.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestRealMember(t *testing.T) {
	m := startMember(t, "gondor")
	c := start(t, New("fellowship", Options{}))
	ctx, stop := contextOf(t)
	defer stop()
	c.Engage(ctx, m.Member)
	m.web(t, "web", 2, corev1.ServiceTypeLoadBalancer)
	m.web(t, "ports", 1, corev1.ServiceTypeNodePort)
	m.web(t, "inside", 1, corev1.ServiceTypeClusterIP)
	service := func(name string) Key { return Key{Kind: "Service", Namespace: "default", Name: name} }

	web := service("web")
	var seen Observed
	eventually(t, time.Minute, func() string {
		seen = becomes(t, c, web, dns.Healthy, ReasonAnswers, time.Minute)
		if seen.Ready == nil || *seen.Ready != 2 {
			return fmt.Sprintf("%+v", seen)
		}
		return ""
	})
	if len(seen.Addresses) != 1 || seen.Weight != 2 || len(seen.Ports) != 1 || seen.Ports[0] != (dns.Port{Name: "http", Protocol: "tcp", Number: 80}) {
		t.Errorf("the load balancer is %+v", seen)
	}
	if ports := becomes(t, c, service("ports"), dns.Healthy, ReasonAnswers, time.Minute); len(ports.Addresses) == 0 || ports.Ports[0].Number < 30000 {
		t.Errorf("the node ports are %+v", ports)
	}
	if all := c.Endpoints(service("inside")); len(all) > 0 {
		t.Errorf("a Service for the cluster itself has endpoints: %+v", all)
	}

	shared := len(c.Targets())
	ingress := m.ingress(t, "front", "web", seen.Addresses[0].String())
	if o := becomes(t, c, ingress, dns.Healthy, ReasonAnswers, time.Minute); *o.Ready != 2 {
		t.Errorf("the Ingress is %+v", o)
	}
	if n := len(c.Targets()); n != shared {
		t.Errorf("%d questions are asked, not %d: the Ingress has the Service's address and port", n, shared)
	}
	gateway := m.gateway(t, c, "edge", seen.Addresses[0].String())
	becomes(t, c, gateway, dns.Healthy, ReasonAnswers, time.Minute)

	began := time.Now()
	m.scale(t, "web", 0)
	if o := becomes(t, c, web, dns.Unhealthy, ReasonNoReadyPods, time.Minute); o.Doubtful {
		t.Errorf("a fact is in doubt: %+v", o)
	}
	t.Logf("no ready pods: known %s after the write", time.Since(began))
	becomes(t, c, ingress, dns.Unhealthy, ReasonNoReadyPods, time.Minute)

	began = time.Now()
	if err := m.clients.CoreV1().Services("default").Delete(t.Context(), "web", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, func() string {
		if all := c.Endpoints(web); len(all) > 0 {
			return fmt.Sprintf("the deleted Service has endpoints: %+v", all)
		}
		return ""
	})
	t.Logf("deleted: known %s after the write", time.Since(began))

	began = time.Now()
	_ = m.Stop(syscall.SIGKILL)
	if o := becomes(t, c, service("ports"), dns.Unhealthy, ReasonNoAnswer, 30*time.Second); !o.Doubtful {
		t.Errorf("nobody confirmed it, and it is in no doubt: %+v", o)
	}
	t.Logf("cluster killed: known %s later", time.Since(began))
	eventually(t, 30*time.Second, func() string {
		if traffic := c.Traffic("gondor"); traffic.Probed == 0 || traffic.Alive != 0 {
			return fmt.Sprintf("traffic %+v", traffic)
		}
		return ""
	})
}

func (m *realMember) scale(t *testing.T, name string, replicas int) {
	t.Helper()
	patch := fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas)
	must[*appsv1.Deployment](t)(m.clients.AppsV1().Deployments("default").Patch(t.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{}))
}

func (m *realMember) ingress(t *testing.T, name, backend, address string) Key {
	t.Helper()
	i := &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labelled}}
	i.Spec.DefaultBackend = &networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{Name: backend, Port: networkingv1.ServiceBackendPort{Number: 80}}}
	i = must[*networkingv1.Ingress](t)(m.clients.NetworkingV1().Ingresses("default").Create(t.Context(), i, metav1.CreateOptions{}))
	i.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{IP: address}}
	must[*networkingv1.Ingress](t)(m.clients.NetworkingV1().Ingresses("default").UpdateStatus(t.Context(), i, metav1.UpdateOptions{}))
	return Key{Group: "networking.k8s.io", Kind: "Ingress", Namespace: "default", Name: name}
}

// gateway brings the API and an object of it.
func (m *realMember) gateway(t *testing.T, c *Collector, name, address string) Key {
	t.Helper()
	crd := map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": "gateways." + gatewayGroup, "annotations": map[string]any{"api-approved.kubernetes.io": "unapproved, a test"}},
		"spec": map[string]any{"group": gatewayGroup, "scope": "Namespaced",
			"names": map[string]any{"kind": "Gateway", "plural": "gateways", "singular": "gateway", "listKind": "GatewayList"},
			"versions": []any{map[string]any{"name": "v1", "served": true, "storage": true, "schema": map[string]any{
				"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}}},
	}
	crds := schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	must[*unstructured.Unstructured](t)(m.Dynamic.Resource(crds).Create(t.Context(), &unstructured.Unstructured{Object: crd}, metav1.CreateOptions{}))
	g := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": gatewayGroup + "/v1", "kind": "Gateway",
		"metadata": map[string]any{"name": name, "labels": map[string]any{federation.LabelFederation: "fellowship"}},
		"spec":     map[string]any{"listeners": []any{map[string]any{"name": "web", "port": int64(80), "protocol": "HTTP"}}},
		"status": map[string]any{"addresses": []any{map[string]any{"type": "IPAddress", "value": address}},
			"conditions": []any{map[string]any{"type": "Programmed", "status": "True"}}},
	}}
	eventually(t, 20*time.Second, func() string {
		if _, err := m.Dynamic.Resource(gatewayResource).Namespace("default").Create(t.Context(), g, metav1.CreateOptions{}); err != nil {
			return err.Error()
		}
		return ""
	})
	c.stands(&federation.Cluster{ObjectMeta: metav1.ObjectMeta{Name: m.Name}, Status: federation.ClusterStatus{APIGroups: []string{gatewayGroup + "/v1", "v1"}}}, false)
	return Key{Group: gatewayGroup, Kind: "Gateway", Namespace: "default", Name: name}
}
