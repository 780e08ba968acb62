package localcluster

import (
	"runtime"
	"runtime/debug"

	"k8s.io/apimachinery/pkg/version"
	"k8s.io/component-base/compatibility"
)

// release reports the version of the Kubernetes module that is linked. Kubernetes' own builds put it there with linker
// flags; a plain `go build` would leave "v0.0.0-master", which clients can't parse.
type release struct{ compatibility.EffectiveVersion }

// Info is what /version answers.
func (r release) Info() *version.Info {
	info := r.EffectiveVersion.Info()
	info.GitVersion = linkedKubernetes()
	info.GitCommit, info.GitTreeState = "", ""
	info.GoVersion, info.Compiler, info.Platform = runtime.Version(), runtime.Compiler, runtime.GOOS+"/"+runtime.GOARCH
	return info
}

func linkedKubernetes() string {
	build, ok := debug.ReadBuildInfo()
	if ok {
		for _, module := range build.Deps {
			if module.Path == "k8s.io/kubernetes" {
				return module.Version
			}
		}
	}
	return "v0.0.0"
}
