package apiserver

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	core "k8s.io/kubernetes/pkg/apis/core"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/dns/named"
	"kubefed.dev/kubefed/pkg/kind"
)

const namesPlugin = "FederationNames"

// names is the admission plugin that refuses Services, Ingresses and Gateways whose DNS annotations can't be read, and Services
// whose names would not fit into DNS; and a Federation that confirms removals at no time. An update of what was wrong before is let through, so that finalizers can go.
type names struct {
	*admission.Handler
	options *Options
}

var (
	_ admission.ValidationInterface = names{}

	federationKind = schema.GroupKind{Group: federation.GroupName, Kind: "Federation"}
)

func newNames(options *Options) names {
	return names{admission.NewHandler(admission.Create, admission.Update), options}
}

// Validate implements admission.ValidationInterface.
func (p names) Validate(_ context.Context, attr admission.Attributes, _ admission.ObjectInterfaces) error {
	gk := attr.GetKind().GroupKind()
	if attr.GetSubresource() != "" || !named.Named(gk) && gk != federationKind {
		return nil
	}
	problem := p.check(attr, attr.GetObject())
	if problem == nil {
		return nil
	}
	if before := p.check(attr, attr.GetOldObject()); before != nil && before.Error() == problem.Error() {
		return nil
	}
	return admission.NewForbidden(attr, problem)
}

func (p names) check(attr admission.Attributes, obj runtime.Object) error {
	if obj == nil {
		return nil
	}
	object, err := meta.Accessor(obj)
	if err == nil && attr.GetKind().GroupKind() == federationKind {
		return named.CheckAssent(object.GetAnnotations(), time.Now())
	}
	if err != nil || object.GetDeletionTimestamp() != nil || !kind.FederatedObject(attr.GetKind().GroupKind(), object, "") {
		return nil
	}
	o := objectOf(attr, object)
	ports := map[string]string{}
	if service, ok := obj.(*core.Service); ok {
		o.Names = service.Spec.Type == core.ServiceTypeLoadBalancer || service.Spec.Type == core.ServiceTypeNodePort || len(service.Spec.ExternalIPs) > 0
		for _, port := range service.Spec.Ports {
			ports[port.Name] = string(port.Protocol)
		}
	}
	return named.Check(o, p.options.FederationName, p.options.DNSZoneName, ports)
}

func objectOf(attr admission.Attributes, object metav1.Object) named.Object {
	gk := attr.GetKind().GroupKind()
	return named.Object{
		Key:         named.Key{Group: gk.Group, Kind: gk.Kind, Namespace: attr.GetNamespace(), Name: object.GetName()},
		Annotations: object.GetAnnotations(),
	}
}
