// Package playground keeps local clusters as processes of this machine: it starts the program local-cluster once per
// cluster, waits until each is usable, adds their contexts to the user's kubeconfig, and takes all of it away again.
//
// In: a folder, and what clusters there shall be. Out: processes that outlive the caller, everything they keep in that
// folder, and contexts. It knows nothing of federations and links nothing of Kubernetes' servers.
package playground

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// Playground is a set of local clusters that belong together. Calls for one folder exclude each other, also between
// processes; Status needs no turn.
type Playground struct {
	// Dir holds everything that the clusters keep. It may be missing.
	Dir string
	// Progress gets a line whenever something happens that takes time; nil means nobody wants to know.
	Progress io.Writer
}

// DefaultDir is the playground's folder of a user who names none.
func DefaultDir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding a folder for the playground: %w: name one with --dir", err)
	}
	return filepath.Join(cache, "kubefed", "playground"), nil
}

// saying keeps lines apart: clusters start and stop side by side, and a Progress need not be safe for that.
var saying sync.Mutex

func (p Playground) say(format string, args ...any) {
	if p.Progress != nil {
		saying.Lock()
		defer saying.Unlock()
		fmt.Fprintf(p.Progress, format+"\n", args...)
	}
}

// lock waits for the folder's turn.
func (p Playground) lock(ctx context.Context) (func(), error) {
	return lock(ctx, p.Dir, func() { p.say("waiting for another command that is at work in %s", p.Dir) })
}

func (p Playground) folder(cluster string) string { return filepath.Join(p.Dir, cluster) }

func (p Playground) kubeconfig(cluster string) string {
	return filepath.Join(p.folder(cluster), "kubeconfig")
}

func (p Playground) logFile(cluster string) string { return filepath.Join(p.folder(cluster), "log") }

// findProgram finds one of the project's programs: beside the running one, else on PATH.
func findProgram(name string) (string, error) {
	if self, err := os.Executable(); err == nil {
		if resolved, err := filepath.EvalSymlinks(self); err == nil {
			self = resolved
		}
		if path, err := exec.LookPath(filepath.Join(filepath.Dir(self), name)); err == nil {
			return path, nil
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("the program %s is neither beside kubefed nor on PATH: build it with `make build`", name)
	}
	return filepath.Abs(path)
}
