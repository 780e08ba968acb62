package cluster

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// AddToScheme registers the types that this package reads and writes.
func AddToScheme(scheme *runtime.Scheme) error {
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, appsv1.AddToScheme, rbacv1.AddToScheme, federation.AddToScheme} {
		if err := add(scheme); err != nil {
			return err
		}
	}
	return nil
}

// scheme serves the clients that join and unjoin make for themselves.
var scheme = func() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(AddToScheme(s))
	return s
}()
