package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
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

	"kubefed.dev/kubefed/pkg/kind"
	"kubefed.dev/kubefed/pkg/plan"
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

// objectFlags say which object of which federation a command is about.
type objectFlags struct {
	FederationFlags
	namespace, output string
}

func (f *objectFlags) addFlags(cmd *cobra.Command, outputUsage string) {
	f.FederationFlags.addFlags(cmd)
	flags := cmd.Flags()
	flags.StringVarP(&f.namespace, "namespace", "n", "", "namespace of the object (default: the context's)")
	flags.StringVarP(&f.output, "output", "o", "", outputUsage)
	completeFlag(cmd, "output", cobra.FixedCompletions([]string{"json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
}

// foundObject is an object of a federation.
type foundObject struct {
	*unstructured.Unstructured
	mapping    *meta.RESTMapping
	api        dynamic.ResourceInterface
	federation Federation
}

// find reads the object that TYPE/NAME or TYPE NAME names.
func (f *objectFlags) find(ctx context.Context, args []string) (foundObject, error) {
	var o foundObject
	if err := checkOutput(f.output); err != nil {
		return o, err
	}
	kind, name, err := splitObject(args)
	if err != nil {
		return o, err
	}
	if o.federation, err = FindFederation(ctx, f.FederationFlags); err != nil {
		return o, err
	}
	if f.namespace == "" {
		f.namespace = contextNamespace(o.federation)
	}
	finder, err := newFinder(o.federation.Config)
	if err != nil {
		return o, err
	}
	if o.mapping, err = finder.mapping(kind); err != nil {
		return o, err
	}
	o.api = finder.resource(o.mapping, f.namespace)
	o.Unstructured, err = finder.get(ctx, kind, f.namespace, name)
	return o, err
}

// world reads the federation around the object, and the object's kind in it.
func (o foundObject) world(ctx context.Context) (*plan.World, kind.Kind, error) {
	w, kinds, err := readWorld(ctx, o.federation.Config)
	if err != nil {
		return nil, kind.Kind{}, fmt.Errorf("federation %q: %w", o.federation.Name, err)
	}
	k, known := kinds[o.GroupVersionKind().GroupKind()]
	if !known {
		return nil, k, fmt.Errorf("%s is a kind that is never federated: see docs/operating.md, \"What is federated\"", o.GetKind())
	}
	o.SetGroupVersionKind(k.GroupVersionKind)
	return w, k, nil
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
