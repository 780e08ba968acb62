package cli

import (
	"context"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

// finder finds objects of a federation by what a user types: deployment/web, deploy web, rings.example.com/one.
type finder struct {
	api    dynamic.Interface
	mapper meta.RESTMapper
}

func newFinder(config *rest.Config) (*finder, error) {
	asker, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	api, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	cached := memory.NewMemCacheClient(asker)
	mapper := restmapper.NewShortcutExpander(restmapper.NewDeferredDiscoveryRESTMapper(cached), cached, nil)
	return &finder{api: api, mapper: mapper}, nil
}

// splitObject reads TYPE/NAME or TYPE NAME.
func splitObject(args []string) (kind, name string, err error) {
	switch len(args) {
	case 1:
		if kind, name, found := strings.Cut(args[0], "/"); found && kind != "" && name != "" {
			return kind, name, nil
		}
	case 2:
		return args[0], args[1], nil
	}
	return "", "", &ExitError{ExitUsage, fmt.Errorf("name one object as TYPE/NAME, such as deployment/web; got %q", strings.Join(args, " "))}
}

// mapping finds a type by plural, singular, short name or kind, with or without version and group.
func (f *finder) mapping(kind string) (*meta.RESTMapping, error) {
	full, gr := schema.ParseResourceArg(kind)
	gvk := schema.GroupVersionKind{}
	if full != nil {
		gvk, _ = f.mapper.KindFor(*full)
	}
	if gvk.Empty() {
		gvk, _ = f.mapper.KindFor(gr.WithVersion(""))
	}
	if gvk.Empty() {
		gk := schema.ParseGroupKind(kind)
		if mapping, err := f.mapper.RESTMapping(gk); err == nil {
			return mapping, nil
		}
		return nil, &ExitError{ExitUsage, fmt.Errorf("the federation serves no type %q: see kubectl api-resources", kind)}
	}
	return f.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
}

// get reads one object.
func (f *finder) get(ctx context.Context, kind, namespace, name string) (*unstructured.Unstructured, error) {
	mapping, err := f.mapping(kind)
	if err != nil {
		return nil, err
	}
	obj, err := f.resource(mapping, namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) && mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		return nil, fmt.Errorf("%s %q not found in namespace %q: name another one by --namespace", mapping.Resource.Resource, name, namespace)
	} else if err != nil {
		return nil, fmt.Errorf("reading %s %q: %w", mapping.Resource.Resource, name, err)
	}
	return obj, nil
}

func (f *finder) resource(mapping *meta.RESTMapping, namespace string) dynamic.ResourceInterface {
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		return f.api.Resource(mapping.Resource).Namespace(namespace)
	}
	return f.api.Resource(mapping.Resource)
}

// contextNamespace is the namespace of a federation's context.
func contextNamespace(found Federation) string {
	if config, err := found.Kubeconfig.GetStartingConfig(); err == nil {
		if c := config.Contexts[found.Context]; c != nil && c.Namespace != "" {
			return c.Namespace
		}
	}
	return metav1.NamespaceDefault
}
