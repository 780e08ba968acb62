// Command demo tells the story of the README on local clusters: it starts a host cluster and three members, types each
// command, shows its real output, checks that it is what the story says, and cleans up. It exits non-zero where a step
// did not do what it shows.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
)

// step is one command as a user types it, and what its output has to show.
type step struct {
	command string
	shows   []string // regular expressions, all of them
}

// story is the demo. Commands run in examples/.
var story = []step{
	{"kubefed init fellowship --host-cluster-context=rivendell --dns-zone-name=example.com", []string{`(?m)^Federation "fellowship" created\.$`}},
	{"kubectl config use-context fellowship", []string{`(?m)^Switched to context "fellowship"\.$`}},
	{"kubefed join gondor --host-cluster-context=rivendell", []string{`(?m)^Cluster "gondor" joined to federation "fellowship"\.$`}},
	{"kubefed join rohan --host-cluster-context=rivendell", []string{`(?m)^Cluster "rohan" joined to federation "fellowship"\.$`}},
	{"kubefed join shire --host-cluster-context=fellowship", []string{`(?m)^Cluster "shire" joined to federation "fellowship"\.$`}},
	{"kubectl create -f multi-cluster-deployment.yml", []string{`(?m)^deployment\.apps/multi-cluster-deployment created$`}},
	{"kubectl rollout status deployment/multi-cluster-deployment --timeout=60s", []string{`successfully rolled out`}},
	{"kubectl get clusters", []string{`(?m)^gondor +True`, `(?m)^rohan +True`, `(?m)^shire +True`}},
	{"kubectl get deployment multi-cluster-deployment", []string{` 9/9 `}},
	{"kubectl get placementdecisions", []string{`gondor 3/3, rohan 3/3, shire 3/3 +True`}},
	{"kubectl --context=gondor get deployment multi-cluster-deployment", []string{` 3/3 `}},
	{"kubectl --context=rohan get deployment multi-cluster-deployment", []string{` 3/3 `}},
	{"kubectl --context=shire get deployment multi-cluster-deployment", []string{` 3/3 `}},
	{"kubefed status", []string{`gondor`, `rohan`, `shire`}},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	code := 0
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "demo: %v\n", err)
		code = 1
	}
	stop()
	os.Exit(code)
}

func run(ctx context.Context, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "kubefed-demo-")
	if err != nil {
		return fmt.Errorf("making a folder for the demo: %w", err)
	}
	defer os.RemoveAll(dir)
	s := &shell{out: out, dir: "examples"}
	if err := s.environment(dir); err != nil {
		return err
	}
	up := step{"kubefed playground up --dir=" + filepath.Join(dir, "playground"), nil}
	defer func() {
		// Also after Ctrl-C: nothing stays behind.
		down := step{"kubefed playground down --dir=" + filepath.Join(dir, "playground"), nil}
		if downErr := s.do(context.WithoutCancel(ctx), down); downErr != nil && err == nil {
			err = downErr
		}
	}()
	if err := s.do(ctx, up); err != nil {
		return err
	}
	done := 0
	var before, after writes
	var failed []string
	for _, step := range story {
		if strings.HasPrefix(step.command, "kubectl create") {
			if before, err = s.writes(ctx); err != nil {
				return err
			}
		}
		if err := s.do(ctx, step); err != nil {
			fmt.Fprintf(out, "!! %v\n\n", err)
			failed = append(failed, step.command)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			continue
		}
		done++
		if strings.HasPrefix(step.command, "kubectl rollout") {
			if err := s.settled(ctx); err != nil {
				return err
			}
			if after, err = s.writes(ctx); err != nil {
				return err
			}
		}
	}
	count := after.since(before)
	fmt.Fprintf(out, "What the control plane wrote for the Deployment, the user's own create included:\n%s\n", count)
	fmt.Fprintf(out, "demo: %d of %d steps as shown, %d control-plane writes per Deployment\n", done, len(story), count.total())
	if len(failed) > 0 {
		return fmt.Errorf("%d steps did not do what they show: %s", len(failed), strings.Join(failed, "; "))
	}
	return nil
}

// shell types commands with the project's programs first on PATH and a kubeconfig of its own.
type shell struct {
	out io.Writer
	dir string
	env []string
}

func (s *shell) environment(dir string) error {
	bin, err := filepath.Abs("bin")
	if err != nil {
		return fmt.Errorf("finding bin: %w", err)
	}
	s.env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "KUBECONFIG="+filepath.Join(dir, "kubeconfig"))
	return nil
}

func (s *shell) command(ctx context.Context, line string, stdout, stderr io.Writer) error {
	words := strings.Fields(line)
	path := words[0]
	for _, entry := range s.env {
		// The last PATH counts.
		if dirs, ok := strings.CutPrefix(entry, "PATH="); ok {
			for _, dir := range filepath.SplitList(dirs) {
				if info, err := os.Stat(filepath.Join(dir, words[0])); err == nil && !info.IsDir() {
					path = filepath.Join(dir, words[0])
					break
				}
			}
		}
	}
	cmd := exec.CommandContext(ctx, path, words[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = s.dir, s.env, stdout, stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	return cmd.Run()
}

// do types one step and checks its output.
func (s *shell) do(ctx context.Context, st step) error {
	fmt.Fprintf(s.out, "$ %s\n", st.command)
	var seen bytes.Buffer
	err := s.command(ctx, st.command, io.MultiWriter(s.out, &seen), s.out)
	fmt.Fprintln(s.out)
	if err != nil {
		return fmt.Errorf("%s: %w", st.command, err)
	}
	for _, pattern := range st.shows {
		if !regexp.MustCompile(pattern).Match(seen.Bytes()) {
			return fmt.Errorf("%s: its output does not show %s", st.command, pattern)
		}
	}
	return nil
}
