package controlplane

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// hostWith is what a host holds after Init with options, changed by f.
func hostWith(t *testing.T, o Options, f func(*Existing)) Existing {
	t.Helper()
	e := Existing{Secrets: map[string]corev1.Secret{}}
	for _, obj := range Manifests(o, fixedCredentials()) {
		switch v := client.Object(obj).(type) {
		case *corev1.Namespace:
			e.Namespace = v
		case *corev1.Service:
			e.Service = v
		case *corev1.Secret:
			e.Secrets[v.Name] = *v
		case *corev1.PersistentVolumeClaim:
			e.Claim = v
		case *appsv1.Deployment:
			e.Deployment = v
		}
	}
	if f != nil {
		f(&e)
	}
	return e
}

func TestDecide(t *testing.T) {
	o := validated(t, nil)
	plain := func(e *Existing) {
		*e = Existing{Namespace: &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: Namespace}}}
	}
	for _, test := range []struct {
		name     string
		existing Existing
		resume   bool
		want     string // part of the error
	}{
		{"an empty host", Existing{}, false, ""},
		{"a host that is a member of another federation", hostWith(t, o, plain), false, ""},
		{"all of it", hostWith(t, o, nil), true, ""},
		{"stopped after the Service", hostWith(t, o, func(e *Existing) { e.Secrets, e.Claim, e.Deployment = nil, nil, nil }), true, ""},
		{"stopped amid the Secrets", hostWith(t, o, func(e *Existing) {
			delete(e.Secrets, SecretKeys)
			e.Claim, e.Deployment = nil, nil
		}), true, ""},
		{"its Deployment was deleted", hostWith(t, o, func(e *Existing) { e.Deployment = nil }), true, ""},
		{"its serving certificate was deleted", hostWith(t, o, func(e *Existing) { delete(e.Secrets, SecretServing) }), true, ""},

		{"another federation", hostWith(t, validated(t, func(o *Options) { o.Name = "mordor" }), nil), false, `already runs federation "mordor"`},
		{"another zone", hostWith(t, validated(t, func(o *Options) { o.DNSZone = "example.org" }), nil), true, "can't be changed"},
		{"being deleted", hostWith(t, o, func(e *Existing) { e.Namespace.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)} }), false, "is being deleted"},
		{"its keys are lost", hostWith(t, o, func(e *Existing) { delete(e.Secrets, SecretKeys) }), true, "restore them"},
		{"its authority is lost, its data is there", hostWith(t, o, func(e *Existing) {
			delete(e.Secrets, SecretCA)
			e.Deployment = nil
		}), true, "restore them"},
		{"its data are elsewhere", hostWith(t, validated(t, func(o *Options) { o.Etcd.Servers = []string{"http://etcd:2379"} }), nil), true, "etcd at http://etcd:2379"},
		{"its data die with the pod", hostWith(t, validated(t, func(o *Options) { o.Etcd.Persistent = false }), nil), true, "without persistent storage"},
		{"somebody else's", hostWith(t, o, func(e *Existing) { e.Namespace.Annotations = nil }), false, "no kubefed init made"},
	} {
		t.Run(test.name, func(t *testing.T) {
			resume, err := Decide(o, test.existing)
			switch {
			case test.want == "" && err != nil:
				t.Fatal(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("error %v, want one with %q", err, test.want)
			case resume != test.resume && test.want == "":
				t.Errorf("resume is %t, want %t", resume, test.resume)
			}
		})
	}
}
