package apiserver

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	serverstorage "k8s.io/apiserver/pkg/server/storage"
	"k8s.io/client-go/discovery"
	"k8s.io/kubernetes/pkg/controlplane"
	controlplaneapiserver "k8s.io/kubernetes/pkg/controlplane/apiserver"
	apiserverinternalrest "k8s.io/kubernetes/pkg/registry/apiserverinternal/rest"
	appsrest "k8s.io/kubernetes/pkg/registry/apps/rest"
	autoscalingrest "k8s.io/kubernetes/pkg/registry/autoscaling/rest"
	batchrest "k8s.io/kubernetes/pkg/registry/batch/rest"
	corerest "k8s.io/kubernetes/pkg/registry/core/rest"
	flowcontrolrest "k8s.io/kubernetes/pkg/registry/flowcontrol/rest"
	networkingrest "k8s.io/kubernetes/pkg/registry/networking/rest"
	policyrest "k8s.io/kubernetes/pkg/registry/policy/rest"
	schedulingrest "k8s.io/kubernetes/pkg/registry/scheduling/rest"
	storagerest "k8s.io/kubernetes/pkg/registry/storage/rest"
)

// workloadGroups are served beside those of the generic control plane. Priorities are kube-apiserver's.
var workloadGroups = map[schema.GroupVersion]controlplaneapiserver.APIServicePriority{
	appsv1.SchemeGroupVersion:        {Group: 17800, Version: 15},
	autoscalingv1.SchemeGroupVersion: {Group: 17500, Version: 15},
	autoscalingv2.SchemeGroupVersion: {Group: 17500, Version: 30},
	batchv1.SchemeGroupVersion:       {Group: 17400, Version: 15},
	networkingv1.SchemeGroupVersion:  {Group: 17200, Version: 15},
	policyv1.SchemeGroupVersion:      {Group: 17100, Version: 15},
	storagev1.SchemeGroupVersion:     {Group: 16800, Version: 15},
	schedulingv1.SchemeGroupVersion:  {Group: 16600, Version: 15},
}

// unserved are resources of served groups that mean something only where pods run or addresses are handed out. Quota
// and admission ask this list too, so that they don't wait for objects that never come.
var unserved = []schema.GroupVersionResource{
	corev1.SchemeGroupVersion.WithResource("pods"),
	corev1.SchemeGroupVersion.WithResource("nodes"),
	corev1.SchemeGroupVersion.WithResource("endpoints"),
	corev1.SchemeGroupVersion.WithResource("persistentvolumes"),
	corev1.SchemeGroupVersion.WithResource("replicationcontrollers"),
	corev1.SchemeGroupVersion.WithResource("podtemplates"),
	networkingv1.SchemeGroupVersion.WithResource("ipaddresses"),
	networkingv1.SchemeGroupVersion.WithResource("servicecidrs"),
	storagev1.SchemeGroupVersion.WithResource("csidrivers"),
	storagev1.SchemeGroupVersion.WithResource("csinodes"),
	storagev1.SchemeGroupVersion.WithResource("csistoragecapacities"),
	storagev1.SchemeGroupVersion.WithResource("volumeattachments"),
	storagev1.SchemeGroupVersion.WithResource("volumeattributesclasses"),
}

// resourceConfig enables exactly what is installed: an enabled group that nobody serves keeps admission's informers from
// ever being ready.
func resourceConfig(fairness bool) *serverstorage.ResourceConfig {
	config := controlplane.DefaultGenericAPIResourceConfigSource()
	for gv := range workloadGroups {
		config.EnableVersions(gv)
	}
	config.DisableResources(unserved...)
	if !fairness {
		config.DisableVersions(flowcontrolv1.SchemeGroupVersion)
	}
	return config
}

// providers are the storages of all native groups. Their order is that of local discovery.
func providers(config controlplaneapiserver.CompletedConfig, d discovery.DiscoveryInterface, fairness bool) ([]controlplaneapiserver.RESTStorageProvider, error) {
	generic, err := config.GenericStorageProviders(d)
	if err != nil {
		return nil, err
	}
	generic = slices.DeleteFunc(generic, func(p controlplaneapiserver.RESTStorageProvider) bool {
		switch p.(type) {
		case apiserverinternalrest.StorageProvider:
			return true
		case flowcontrolrest.RESTStorageProvider:
			return !fairness
		}
		return false
	})
	for i, p := range generic {
		if core, ok := p.(*corerest.GenericConfig); ok {
			generic[i] = &coreProvider{GenericConfig: core}
		}
	}
	return append(generic,
		autoscalingrest.RESTStorageProvider{},
		batchrest.RESTStorageProvider{},
		networkingrest.RESTStorageProvider{},
		policyrest.RESTStorageProvider{},
		schedulingrest.RESTStorageProvider{},
		storagerest.RESTStorageProvider{},
		appsrest.StorageProvider{},
	), nil
}

// priorities orders groups in discovery. A group without a priority is silently not exposed.
func priorities() map[schema.GroupVersion]controlplaneapiserver.APIServicePriority {
	all := controlplaneapiserver.DefaultGenericAPIServicePriorities()
	for gv, priority := range workloadGroups {
		all[gv] = priority
	}
	return all
}
