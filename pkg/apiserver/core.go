package apiserver

import (
	"fmt"

	"k8s.io/apiserver/pkg/registry/generic"
	genericapiserver "k8s.io/apiserver/pkg/server"
	serverstorage "k8s.io/apiserver/pkg/server/storage"
	limitrangestore "k8s.io/kubernetes/pkg/registry/core/limitrange/storage"
	claimstore "k8s.io/kubernetes/pkg/registry/core/persistentvolumeclaim/storage"
	corerest "k8s.io/kubernetes/pkg/registry/core/rest"
)

// coreProvider serves the core group: what the generic control plane has (namespaces, configmaps, secrets, service
// accounts, events, quotas), and what a federation copies to members beside that. Views of members' pods and nodes are
// added to the same map.
type coreProvider struct{ *corerest.GenericConfig }

// NewRESTStorage implements RESTStorageProvider.
func (p *coreProvider) NewRESTStorage(source serverstorage.APIResourceConfigSource, getter generic.RESTOptionsGetter) (genericapiserver.APIGroupInfo, error) {
	info, err := p.GenericConfig.NewRESTStorage(source, getter)
	if err != nil {
		return info, err
	}
	limits, err := limitrangestore.NewREST(getter)
	if err != nil {
		return info, fmt.Errorf("storing limit ranges: %w", err)
	}
	claims, claimStatus, err := claimstore.NewREST(getter)
	if err != nil {
		return info, fmt.Errorf("storing persistent volume claims: %w", err)
	}
	services, serviceStatus, err := newServices(getter)
	if err != nil {
		return info, fmt.Errorf("storing services: %w", err)
	}
	v1 := info.VersionedResourcesStorageMap["v1"]
	v1["limitranges"] = limits
	v1["persistentvolumeclaims"] = claims
	v1["persistentvolumeclaims/status"] = claimStatus
	v1["services"] = services
	v1["services/status"] = serviceStatus
	return info, nil
}
