package apiserver

import (
	"io"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/namespace/lifecycle"
	mutatingadmissionpolicy "k8s.io/apiserver/pkg/admission/plugin/policy/mutating"
	validatingadmissionpolicy "k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/admission/plugin/resourcequota"
	mutatingwebhook "k8s.io/apiserver/pkg/admission/plugin/webhook/mutating"
	validatingwebhook "k8s.io/apiserver/pkg/admission/plugin/webhook/validating"
	genericoptions "k8s.io/apiserver/pkg/server/options"
	certapproval "k8s.io/kubernetes/plugin/pkg/admission/certificates/approval"
	certsigning "k8s.io/kubernetes/plugin/pkg/admission/certificates/signing"
	certsubjectrestriction "k8s.io/kubernetes/plugin/pkg/admission/certificates/subjectrestriction"
	"k8s.io/kubernetes/plugin/pkg/admission/limitranger"
	podpriority "k8s.io/kubernetes/plugin/pkg/admission/priority"
)

// admissionOn are the plugins that are on by default. Those of kube-apiserver that are missing speak of pods and nodes,
// need a controller that does not run here, or set defaults that are each member's own (storage class, ingress class).
var admissionOn = sets.New(
	lifecycle.PluginName,
	limitranger.PluginName,
	podpriority.PluginName,
	certapproval.PluginName,
	certsigning.PluginName,
	certsubjectrestriction.PluginName,
	mutatingadmissionpolicy.PluginName,
	mutatingwebhook.PluginName,
	validatingadmissionpolicy.PluginName,
	validatingwebhook.PluginName,
	resourcequota.PluginName,
	membersPlugin,
	decisionsPlugin,
	tracesPlugin,
	overridesPlugin,
	placementsPlugin,
	taintsPlugin,
	namesPlugin,
)

// registerAdmission sets the chain: the federation's own plugin is the last that mutates, so that no webhook takes the
// finalizer off again.
func registerAdmission(options *genericoptions.AdmissionOptions, federation *Options) {
	options.Plugins.Register(membersPlugin, func(io.Reader) (admission.Interface, error) { return newMembers(), nil })
	options.Plugins.Register(decisionsPlugin, func(io.Reader) (admission.Interface, error) { return newDecisions(), nil })
	options.Plugins.Register(tracesPlugin, func(io.Reader) (admission.Interface, error) { return newTraces(), nil })
	options.Plugins.Register(overridesPlugin, func(io.Reader) (admission.Interface, error) { return newOverrides(), nil })
	options.Plugins.Register(placementsPlugin, func(io.Reader) (admission.Interface, error) { return newPlacements(), nil })
	options.Plugins.Register(taintsPlugin, func(io.Reader) (admission.Interface, error) { return newTaints(), nil })
	options.Plugins.Register(namesPlugin, func(io.Reader) (admission.Interface, error) { return newNames(federation), nil })
	options.RecommendedPluginOrder = append(append([]string(nil), options.RecommendedPluginOrder...), membersPlugin, decisionsPlugin, tracesPlugin, overridesPlugin, placementsPlugin, taintsPlugin, namesPlugin)
	options.DefaultOffPlugins = sets.New(options.RecommendedPluginOrder...).Difference(admissionOn)
}
