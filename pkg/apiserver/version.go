package apiserver

import (
	"runtime/debug"

	apimachineryversion "k8s.io/apimachinery/pkg/version"
	"k8s.io/component-base/compatibility"
)

// KubernetesVersion is the release of Kubernetes whose API is served, such as "v1.36.3".
func KubernetesVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if dep.Path == "k8s.io/kubernetes" {
				return dep.Version
			}
		}
	}
	return ""
}

// kubernetesVersion answers /version with the release that was linked. Kubernetes itself learns it from linker flags,
// and without them says v0.0.0, which Helm's and kubectl's version checks take at its word.
type kubernetesVersion struct{ compatibility.EffectiveVersion }

func (v kubernetesVersion) Info() *apimachineryversion.Info {
	info := v.EffectiveVersion.Info()
	if release := KubernetesVersion(); info != nil && release != "" {
		info.GitVersion = release + "+kubefed"
	}
	return info
}
