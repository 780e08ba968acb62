package apiserver

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/generic"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/warning"
	core "k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/printers"
	printersinternal "k8s.io/kubernetes/pkg/printers/internalversion"
	printerstorage "k8s.io/kubernetes/pkg/printers/storage"
	servicereg "k8s.io/kubernetes/pkg/registry/core/service"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// services stores Services without handing out addresses: each member allocates its own.
type services struct{ *genericregistry.Store }

func (services) ShortNames() []string { return []string{"svc"} }
func (services) Categories() []string { return []string{"all"} }

// serviceStatus is the status of Services. The federation folds members' load balancers into it.
type serviceStatus struct{ store *genericregistry.Store }

func newServices(getter generic.RESTOptionsGetter) (*services, *serviceStatus, error) {
	strategy := serviceStrategy{RESTCreateUpdateStrategy: servicereg.Strategy}
	store := &genericregistry.Store{
		NewFunc:                   func() runtime.Object { return &core.Service{} },
		NewListFunc:               func() runtime.Object { return &core.ServiceList{} },
		PredicateFunc:             servicereg.Matcher,
		DefaultQualifiedResource:  core.Resource("services"),
		SingularQualifiedResource: core.Resource("service"),
		ReturnDeletedObject:       true,
		CreateStrategy:            strategy,
		UpdateStrategy:            strategy,
		DeleteStrategy:            servicereg.Strategy,
		ResetFieldsStrategy:       servicereg.Strategy,
		TableConvertor:            printerstorage.TableConvertor{TableGenerator: printers.NewTableGenerator().With(printersinternal.AddHandlers)},
	}
	if err := store.CompleteWithOptions(&generic.StoreOptions{RESTOptions: getter, AttrFunc: servicereg.GetAttrs}); err != nil {
		return nil, nil, err
	}
	status := *store
	status.UpdateStrategy, status.ResetFieldsStrategy = servicereg.StatusStrategy, servicereg.StatusStrategy
	return &services{store}, &serviceStatus{store: &status}, nil
}

// serviceStrategy is upstream's, but for cluster IPs: one that a user asks for means nothing outside the cluster it was
// taken from, so it is dropped with a warning rather than refused: manifests exported from a cluster stay usable.
type serviceStrategy struct{ rest.RESTCreateUpdateStrategy }

func (s serviceStrategy) PrepareForCreate(ctx context.Context, obj runtime.Object) {
	dropClusterIPs(ctx, obj.(*core.Service))
	s.RESTCreateUpdateStrategy.PrepareForCreate(ctx, obj)
}

func (s serviceStrategy) PrepareForUpdate(ctx context.Context, obj, old runtime.Object) {
	dropClusterIPs(ctx, obj.(*core.Service))
	s.RESTCreateUpdateStrategy.PrepareForUpdate(ctx, obj, old)
}

func dropClusterIPs(ctx context.Context, service *core.Service) {
	spec := &service.Spec
	headless := spec.ClusterIP == core.ClusterIPNone || spec.ClusterIP == "" && len(spec.ClusterIPs) > 0 && spec.ClusterIPs[0] == core.ClusterIPNone
	switch {
	case spec.Type == core.ServiceTypeExternalName:
		// Upstream refuses addresses here, and so should we.
	case headless:
		spec.ClusterIP, spec.ClusterIPs = core.ClusterIPNone, []string{core.ClusterIPNone}
	case spec.ClusterIP != "" || len(spec.ClusterIPs) > 0:
		warning.AddWarning(ctx, "", "spec.clusterIP: dropped, because each member cluster allocates its own address")
		spec.ClusterIP, spec.ClusterIPs = "", nil
	}
}

func (*serviceStatus) New() runtime.Object { return &core.Service{} }

// Destroy does nothing: the store is shared with services.
func (*serviceStatus) Destroy() {}

func (s *serviceStatus) Get(ctx context.Context, name string, options *metav1.GetOptions) (runtime.Object, error) {
	return s.store.Get(ctx, name, options)
}

// Update changes status only. A subresource never creates.
func (s *serviceStatus) Update(ctx context.Context, name string, objInfo rest.UpdatedObjectInfo, createValidation rest.ValidateObjectFunc,
	updateValidation rest.ValidateObjectUpdateFunc, _ bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	return s.store.Update(ctx, name, objInfo, createValidation, updateValidation, false, options)
}

func (s *serviceStatus) ConvertToTable(ctx context.Context, object, tableOptions runtime.Object) (*metav1.Table, error) {
	return s.store.ConvertToTable(ctx, object, tableOptions)
}

func (s *serviceStatus) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return s.store.GetResetFields()
}
