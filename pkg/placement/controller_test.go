package placement_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/placement"
)

// story is a test's own namespace and what it does there.
type story struct {
	*testing.T
	client.Client
	namespace string
}

func tell(t *testing.T) *story {
	t.Helper()
	direct, err := client.New(federationAPI(t), client.Options{Scheme: scheme()})
	if err != nil {
		t.Fatal(err)
	}
	s := &story{T: t, Client: direct}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "story-"}}
	s.create(ns)
	s.namespace = ns.Name
	return s
}

func (s *story) create(obj client.Object) {
	s.Helper()
	if err := s.Create(s.Context(), obj); err != nil {
		s.Fatal(err)
	}
}

// change applies f to the newest object.
func (s *story) change(obj client.Object, f func()) {
	s.Helper()
	eventually(s, func() error {
		if err := s.Get(s.Context(), client.ObjectKeyFromObject(obj), obj); err != nil {
			return err
		}
		f()
		return s.Update(s.Context(), obj)
	})
}

// cluster makes a member cluster that ends with the test.
func (s *story) cluster(name string, ready bool) {
	s.Helper()
	c := &federation.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: federation.ClusterSpec{Server: "https://127.0.0.1:1", SecretName: name}}
	s.create(c)
	s.Cleanup(func() { _ = s.Delete(context.WithoutCancel(s.Context()), c) })
	s.report(name, ready)
}

// report sets a cluster's status as its probe would.
func (s *story) report(name string, ready bool, apis ...string) {
	s.Helper()
	eventually(s, func() error {
		c := &federation.Cluster{}
		if err := s.Get(s.Context(), types.NamespacedName{Name: name}, c); err != nil {
			return err
		}
		condition := metav1.Condition{Type: federation.ClusterReady, Status: metav1.ConditionFalse, Reason: federation.ReasonClusterNotReady}
		if ready {
			condition.Status, condition.Reason = metav1.ConditionTrue, federation.ReasonClusterReady
		}
		meta.SetStatusCondition(&c.Status.Conditions, condition)
		c.Status.APIGroups = apis
		return s.Status().Update(s.Context(), c)
	})
}

// placed waits until an object's decision reads as wanted: "gondor:2 rohan:1".
func (s *story) placed(name, want string) {
	s.Helper()
	eventually(s, func() error {
		d := &federation.PlacementDecision{}
		if err := s.Get(s.Context(), types.NamespacedName{Namespace: s.namespace, Name: name}, d); err != nil {
			return err
		}
		if got := sentence(d); got != want {
			return fmt.Errorf("%s is placed %q (%s, %v), not %q", name, got, d.Spec.Reason, d.Spec.Excluded, want)
		}
		return nil
	})
}

func sentence(d *federation.PlacementDecision) string {
	words := []string{}
	for _, c := range d.Spec.Clusters {
		word := c.Name
		if c.Replicas != nil {
			word += fmt.Sprintf(":%d", *c.Replicas)
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// lookedAt waits until so many more decisions were found unchanged than before.
func (s *story) lookedAt(before, more int) {
	s.Helper()
	eventually(s, func() error {
		if now := decided(s, "unchanged"); now < before+more {
			return fmt.Errorf("%d decisions found unchanged, not yet %d", now-before, more)
		}
		return nil
	})
}

func (s *story) wrote(r *running, want ...string) {
	s.Helper()
	if diff := cmp.Diff(append([]string{}, want...), r.writes.in(s.namespace)); diff != "" {
		s.Errorf("writes (-want +got):\n%s", diff)
	}
}

func (s *story) deployment(name string, replicas int32) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}, Spec: appsv1.DeploymentSpec{
		Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "nginx:1.27"}}}},
	}}
}

func (s *story) configMap(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}}
}

func (s *story) volumeClaim(name string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}, Spec: corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
	}}
}

func TestOneWritePerChangeAndNoneOtherwise(t *testing.T) {
	s := tell(t)
	s.cluster("gondor", true)
	s.cluster("rohan", true)
	r := run(t)
	web := s.deployment("web", 4)
	s.create(web)
	s.placed("web.deployments.apps", "gondor:2 rohan:2")
	s.wrote(r, "POST")

	before := decided(t, "unchanged")
	s.change(web, func() { web.Spec.Template.Spec.Containers[0].Image = "nginx:1.28" })
	s.lookedAt(before, 1)
	s.wrote(r, "POST")

	s.change(web, func() { web.Spec.Replicas = ptr.To[int32](6) })
	s.placed("web.deployments.apps", "gondor:3 rohan:3")
	s.wrote(r, "POST", "PATCH web.deployments.apps")
	r.stop()

	before = decided(t, "unchanged")
	again := run(t)
	s.lookedAt(before, 1)
	s.create(s.configMap("last")) // decided behind all that the restart brought up
	s.placed("last.configmaps", "gondor rohan")
	s.wrote(again, "POST")
}

func TestClustersComeAndGo(t *testing.T) {
	s := tell(t)
	s.cluster("gondor", true)
	s.cluster("rohan", false)
	r := run(t)
	s.create(s.deployment("web", 4))
	s.create(s.configMap("config"))
	s.placed("web.deployments.apps", "gondor:4")
	s.placed("config.configmaps", "gondor")

	s.report("rohan", true)
	s.placed("config.configmaps", "gondor rohan")
	s.cluster("shire", true)
	s.placed("config.configmaps", "gondor rohan shire")
	s.placed("web.deployments.apps", "gondor:4")

	so := len(r.writes.in(s.namespace))
	s.report("gondor", false)
	s.report("shire", false)
	s.create(s.configMap("later")) // decided after the reports
	s.placed("later.configmaps", "rohan")
	if now := len(r.writes.in(s.namespace)); now != so+1 {
		t.Errorf("clusters that went down caused %d writes", now-so-1)
	}

	if err := s.Delete(t.Context(), &federation.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "gondor"}}); err != nil {
		t.Fatal(err)
	}
	s.placed("config.configmaps", "rohan shire")
	s.placed("web.deployments.apps", "rohan:4")
	s.report("shire", true)
	s.placed("later.configmaps", "rohan shire")
}

func TestMissingAPI(t *testing.T) {
	s := tell(t)
	s.cluster("gondor", true)
	s.cluster("rohan", true)
	s.report("rohan", true, "v1")
	run(t)
	s.create(s.deployment("web", 4))
	s.placed("web.deployments.apps", "gondor:4")
	d := &federation.PlacementDecision{}
	if err := s.Get(t.Context(), types.NamespacedName{Namespace: s.namespace, Name: "web.deployments.apps"}, d); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]federation.Exclusion{{Reason: federation.ReasonAPIMissing, Clusters: []string{"rohan"}}}, d.Spec.Excluded); diff != "" {
		t.Errorf("excluded (-want +got):\n%s", diff)
	}
	s.report("rohan", true, "apps/v1", "v1")
	web := s.deployment("web", 0)
	s.change(web, func() { web.Spec.Replicas = ptr.To[int32](7) })
	s.placed("web.deployments.apps", "gondor:4 rohan:3")
}

func TestSecretGoesWhereItIsUsed(t *testing.T) {
	s := tell(t)
	s.cluster("gondor", true)
	s.cluster("rohan", true)
	run(t)
	s.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "token"}})
	s.placed("token.secrets", "")

	web := s.deployment("web", 1)
	web.Spec.Template.Spec.Containers[0].EnvFrom = []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "token"}}}}
	s.create(web)
	eventually(t, func() error {
		where := &federation.PlacementDecision{}
		return s.Get(t.Context(), types.NamespacedName{Namespace: s.namespace, Name: "web.deployments.apps"}, where)
	})
	where := &federation.PlacementDecision{}
	if err := s.Get(t.Context(), types.NamespacedName{Namespace: s.namespace, Name: "web.deployments.apps"}, where); err != nil {
		t.Fatal(err)
	}
	s.placed("token.secrets", where.Spec.Clusters[0].Name)

	s.change(web, func() { web.Spec.Replicas = ptr.To[int32](2) })
	s.placed("token.secrets", "gondor rohan")

	s.change(web, func() { web.Spec.Template.Spec.Containers[0].EnvFrom = nil })
	s.placed("token.secrets", "")
}

func TestDependenciesGoWhereTheirUsersAre(t *testing.T) {
	s := tell(t)
	s.cluster("gondor", true)
	s.cluster("rohan", true)
	run(t)
	web := s.deployment("web", 2)
	web.Spec.Template.Spec.ServiceAccountName = "runner"
	web.Spec.Template.Spec.Volumes = []corev1.Volume{
		{Name: "a", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}}}},
		{Name: "b", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}},
	}
	s.create(web)
	s.placed("web.deployments.apps", "gondor:1 rohan:1")
	rohan := &federation.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "rohan"}}
	s.change(rohan, func() {
		rohan.Spec.Taints = []corev1.Taint{{Key: "maintenance", Effect: corev1.TaintEffectNoSchedule}}
	})
	eventually(t, func() error {
		d, at := &federation.PlacementDecision{}, s.configMap("unused")
		at.Name = ""
		at.GenerateName = "unused-"
		s.create(at)
		eventually(t, func() error {
			return s.Get(t.Context(), types.NamespacedName{Namespace: s.namespace, Name: at.Name + ".configmaps"}, d)
		})
		if got := sentence(d); got != "gondor" {
			return fmt.Errorf("the taint is not known yet: a new ConfigMap is placed %q", got)
		}
		return nil
	})
	s.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "pull"}})
	s.placed("pull.secrets", "")
	s.create(s.configMap("settings"))
	s.create(s.volumeClaim("data"))
	s.create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "runner"},
		ImagePullSecrets: []corev1.LocalObjectReference{{Name: "pull"}}})
	s.placed("settings.configmaps", "gondor rohan")
	s.placed("data.persistentvolumeclaims", "gondor rohan")
	s.placed("runner.serviceaccounts", "gondor rohan")
	s.placed("pull.secrets", "gondor rohan") // through the ServiceAccount
}

// What goes everywhere costs one write, whoever uses it.
func TestUsersCostNoWrites(t *testing.T) {
	s := tell(t)
	s.cluster("gondor", true)
	s.cluster("rohan", true)
	r := run(t)
	s.create(s.configMap("settings"))
	s.placed("settings.configmaps", "gondor rohan")
	for i := range 3 {
		before := decided(t, "unchanged")
		name := fmt.Sprintf("web-%d", i)
		web := s.deployment(name, 1)
		web.Spec.Template.Spec.Containers[0].EnvFrom = []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}}}}
		s.create(web)
		s.lookedAt(before, 2) // the Deployment's decision has arrived, and its ConfigMap was looked at
		before = decided(t, "unchanged")
		s.change(web, func() { web.Spec.Template.Spec.Containers[0].EnvFrom = nil })
		s.lookedAt(before, 2)
	}
	s.wrote(r, "POST", "POST", "POST", "POST")
}

func TestObjectsThatStopBeingFederated(t *testing.T) {
	s := tell(t)
	s.cluster("gondor", true)
	r := run(t)
	local := s.configMap("local")
	local.Annotations = map[string]string{federation.AnnotationPropagate: "false"}
	s.create(local)
	shared := s.configMap("shared")
	s.create(shared)
	s.placed("shared.configmaps", "gondor")
	s.change(shared, func() { shared.Annotations = map[string]string{federation.AnnotationPropagate: "false"} })
	s.placed("shared.configmaps", "")
	s.wrote(r, "POST", "PATCH shared.configmaps")
	d := &federation.PlacementDecision{}
	if err := s.Get(t.Context(), types.NamespacedName{Namespace: s.namespace, Name: "shared.configmaps"}, d); err != nil || d.Spec.Reason != federation.ReasonNotFederated {
		t.Errorf("reason %q (%v), want %q", d.Spec.Reason, err, federation.ReasonNotFederated)
	}
}

func TestDeletedObjects(t *testing.T) {
	s := tell(t)
	s.cluster("gondor", true)
	r := run(t)
	config := s.configMap("config")
	s.create(config)
	s.placed("config.configmaps", "gondor")

	decision := &federation.PlacementDecision{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "config.configmaps"}}
	if err := s.Delete(t.Context(), decision); err != nil {
		t.Fatal(err)
	}
	s.placed("config.configmaps", "gondor") // made again: the object is still there
	s.wrote(r, "POST", "POST")

	if err := s.Delete(t.Context(), config); err != nil { // stays until its copies are gone
		t.Fatal(err)
	}
	s.cluster("rohan", true)
	s.create(s.configMap("later"))
	s.placed("later.configmaps", "gondor rohan")
	s.placed("config.configmaps", "gondor")

	// The last copy is gone, the decision not yet, and the object is made anew.
	s.change(config, func() { config.Finalizers = nil })
	again := s.configMap("config")
	eventually(t, func() error { return s.Create(t.Context(), again) })
	s.placed("config.configmaps", "gondor rohan")
	if err := s.Get(t.Context(), client.ObjectKeyFromObject(decision), decision); err != nil || decision.Spec.Object.UID != again.UID {
		t.Errorf("decision is on UID %s (%v), want %s", decision.Spec.Object.UID, err, again.UID)
	}
}

func TestNothingNewInTerminatingNamespace(t *testing.T) {
	s := tell(t)
	s.cluster("gondor", false)
	r := run(t)
	s.create(s.configMap("config"))
	s.placed("config.configmaps", "")
	if err := s.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}); err != nil {
		t.Fatal(err)
	}
	other := tell(t)
	other.create(other.configMap("marker"))
	other.placed("marker.configmaps", "")
	other.report("gondor", true)
	other.placed("marker.configmaps", "gondor")
	s.wrote(r, "POST")
}

// behind is a cache in which no decision arrives.
type behind struct{ cache.Cache }

func (b behind) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	if _, ok := obj.(*federation.PlacementDecision); ok {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "placementdecisions"}, key.Name)
	}
	return b.Cache.Get(ctx, key, obj, opts...)
}

func TestCacheThatLagsBehind(t *testing.T) {
	s := tell(t)
	s.cluster("gondor", true)
	r := run(t)
	s.create(s.configMap("config"))
	s.placed("config.configmaps", "gondor")
	key := placement.Key{GroupKind: schema.GroupKind{Kind: "ConfigMap"}, NamespacedName: types.NamespacedName{Namespace: s.namespace, Name: "config"}}

	blind := placement.New(s, behind{r.cache}, events.NewFakeRecorder(10), r.catalog)
	result, err := blind.Reconcile(t.Context(), key)
	if err != nil || result.RequeueAfter == 0 {
		t.Errorf("a decision that the cache does not show: %+v, %v, want another try and no error", result, err)
	}

	if err := s.Delete(t.Context(), &federation.PlacementDecision{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "config.configmaps"}}); err != nil {
		t.Fatal(err)
	}
	r.stop()
	for range 3 {
		if result, err = blind.Reconcile(t.Context(), key); err != nil {
			t.Errorf("reconciling: %v", err)
		}
	}
	s.placed("config.configmaps", "gondor")
}
