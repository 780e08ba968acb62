package apiserver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/initializer"
	"k8s.io/apiserver/pkg/warning"
	"k8s.io/client-go/dynamic"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/kind"
	"kubefed.dev/kubefed/pkg/override"
)

const overridesPlugin = "FederationOverrides"

// overrides is the admission plugin that refuses override policies which can't be applied: to any object, to the kinds
// that they name, or to one of the objects that they select now. It never refuses an object because of a policy (see
// docs/adr/0007): that object's PlacementDecision says where a policy does not fit.
type overrides struct {
	*admission.Handler
	reader dynamic.Interface
	mapper meta.RESTMapper
}

var (
	_ admission.ValidationInterface  = &overrides{}
	_ initializer.WantsDynamicClient = &overrides{}
	_ initializer.WantsRESTMapper    = &overrides{}
)

func newOverrides() *overrides {
	return &overrides{Handler: admission.NewHandler(admission.Create, admission.Update)}
}

// SetDynamicClient implements initializer.WantsDynamicClient.
func (o *overrides) SetDynamicClient(c dynamic.Interface) { o.reader = c }

// SetRESTMapper implements initializer.WantsRESTMapper.
func (o *overrides) SetRESTMapper(m meta.RESTMapper) { o.mapper = m }

// ValidateInitialization implements admission.InitializationValidator.
func (o *overrides) ValidateInitialization() error {
	if o.reader == nil || o.mapper == nil {
		return errors.New(overridesPlugin + " needs a client and a mapper")
	}
	return nil
}

// trialTimeout bounds how long a policy is tried on the objects that are there.
const trialTimeout = 5 * time.Second

// Validate implements admission.ValidationInterface.
func (o *overrides) Validate(ctx context.Context, attr admission.Attributes, _ admission.ObjectInterfaces) error {
	obj, ok := attr.GetObject().(*unstructured.Unstructured)
	if gk := attr.GetKind().GroupKind(); !ok || attr.GetSubresource() != "" || gk.Group != federation.GroupName || !overrideKinds[gk.Kind] {
		return nil
	}
	old, _ := attr.GetOldObject().(*unstructured.Unstructured)
	if obj.GetDeletionTimestamp() != nil || old != nil && equality.Semantic.DeepEqual(old.Object["spec"], obj.Object["spec"]) {
		return nil
	}
	p, err := compileOverride(obj)
	if err != nil {
		return invalid(attr, err)
	}
	named, _ := p.Kinds()
	for _, gk := range named {
		if err := p.CheckKind(kindNamed(gk)); err != nil {
			return invalid(attr, err)
		}
		if !kind.Federatable(gk) {
			warning.AddWarning(ctx, "", fmt.Sprintf("spec.resourceSelectors: objects of kind %s are federated only where a propagation policy names them", gk.Kind))
		}
	}
	bounded, cancel := context.WithTimeout(ctx, trialTimeout)
	defer cancel()
	t, err := o.trial(bounded, p)
	if err != nil {
		warning.AddWarning(ctx, "", fmt.Sprintf("not tried on the objects that are there: %v; their PlacementDecisions say whether it fits", err))
		return nil
	}
	for _, w := range t.warnings() {
		warning.AddWarning(ctx, "", w)
	}
	if err := t.run(); err != nil {
		return invalid(attr, err)
	}
	return nil
}

var overrideKinds = map[string]bool{"OverridePolicy": true, "ClusterOverridePolicy": true}

// compileOverride compiles a policy of either kind.
func compileOverride(obj *unstructured.Unstructured) (*override.Policy, error) {
	if obj.GetKind() == "OverridePolicy" {
		var p federation.OverridePolicy
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, &p); err != nil {
			return nil, err
		}
		return override.OfNamespace(&p)
	}
	var p federation.ClusterOverridePolicy
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, &p); err != nil {
		return nil, err
	}
	return override.OfCluster(&p)
}

func kindNamed(gk schema.GroupKind) kind.Kind {
	return kind.Kind{GroupVersionKind: gk.WithVersion(""), Rule: kind.RuleOf(gk)}
}

// invalid makes the API server's answer of what is wrong with a policy.
func invalid(attr admission.Attributes, err error) error {
	path, message := "spec", err.Error()
	var one *override.Error
	if errors.As(err, &one) && one.Error() == message {
		path, message = one.Field, one.Message
	}
	return apierrors.NewInvalid(attr.GetKind().GroupKind(), attr.GetName(), field.ErrorList{field.Forbidden(field.NewPath(path), message)})
}
