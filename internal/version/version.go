// Package version says which kubefed this is. The number is raised by hand with each release; the commit comes from the
// Go tool, so that every build of one commit is the same and needs no linker flags.
package version

import (
	"runtime"
	"runtime/debug"
)

// Version is the version of the CLI and the tag of the images that it deploys.
const Version = "v0.1.0"

// Info is what `kubefed version` prints of the client.
type Info struct {
	Version   string `json:"version"`
	Commit    string `json:"commit,omitempty"`
	Modified  bool   `json:"modified,omitempty"`
	GoVersion string `json:"goVersion"`
	Platform  string `json:"platform"`
}

// Get reads what is known of this binary. Commit is empty where it was not built from a git checkout.
func Get() Info {
	info := Info{Version: Version, GoVersion: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return info
	}
	for _, s := range build.Settings {
		switch s.Key {
		case "vcs.revision":
			info.Commit = s.Value
		case "vcs.modified":
			info.Modified = s.Value == "true"
		}
	}
	return info
}
