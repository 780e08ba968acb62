// Command drill rehearses the death of a cluster on local clusters: three members serve a web application to constant real
// requests that find it through the federation's DNS; one member is killed and comes back. It shows the timeline as it happens,
// ends with the report, and exits non-zero where requests failed at any time but between the death and the end of the last
// cached answer, or where replacements were not ready in time.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// options are what may differ from run to run.
type options struct {
	mode, report   string
	duration       time.Duration
	rate, replicas int
}

func main() {
	o := options{}
	flag.StringVar(&o.mode, "mode", "kill", "how gondor fails: kill, partition, verdict, dns or drain")
	flag.StringVar(&o.report, "report", "bin/drill.html", "file for the report as a page")
	flag.DurationVar(&o.duration, "duration", time.Minute, "how long it is dead")
	flag.IntVar(&o.rate, "rate", 50, "requests per second")
	flag.IntVar(&o.replicas, "replicas", 9, "replicas of the application")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	code := 0
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "drill: %v\n", err)
		code = 1
	}
	stop()
	os.Exit(code)
}

// story is the drill, one command a line, as a user types them. Commands run in examples/.
func story(o options, dir, page string) []string {
	objectives := "--objective=failed=0"
	switch o.mode {
	case "kill":
		objectives = "--objective=recovery=30s --objective=replacement=" + o.duration.String()
	case "verdict", "drain":
		objectives += " --objective=replacement=" + o.duration.String()
	}
	return []string{
		"kubefed init fellowship --host-cluster-context=rivendell --dns-zone-name=example.com",
		"kubectl config use-context fellowship",
		"kubefed join gondor --host-cluster-context=rivendell",
		"kubefed join rohan --host-cluster-context=rivendell",
		"kubefed join shire --host-cluster-context=rivendell",
		"kubectl apply -f web.yml",
		fmt.Sprintf("kubectl -n shop scale deployment/web --replicas=%d", o.replicas),
		"kubectl -n shop rollout status deployment/web --timeout=120s",
		"kubectl -n shop wait globalendpoints/web.services --for=create --timeout=60s",
		"kubectl -n shop wait globalendpoints/web.services --for=condition=Published --timeout=120s",
		"kubectl -n shop wait globalendpoints/web.services --for=jsonpath={.status.clusters[0].published}=true --timeout=60s",
		"kubectl -n shop wait globalendpoints/web.services --for=jsonpath={.status.clusters[1].published}=true --timeout=60s",
		"kubectl -n shop wait globalendpoints/web.services --for=jsonpath={.status.clusters[2].published}=true --timeout=60s",
		"kubectl get clusters",
		"kubectl -n shop get globalendpoints",
		"kubectl -n shop get placementdecisions",
		fmt.Sprintf("kubefed drill run gondor-fails --cluster=gondor --mode=%s --duration=%s --service=shop/web --rate=%d %s --dir=%s", o.mode, o.duration, o.rate, objectives, dir),
		"kubefed drill report gondor-fails -o html --file=" + page,
		"kubectl -n shop get placementdecisions",
	}
}

func run(ctx context.Context, o options, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "kubefed-drill-")
	if err != nil {
		return fmt.Errorf("making a folder for the drill: %w", err)
	}
	defer os.RemoveAll(dir)
	page, err := filepath.Abs(o.report)
	if err != nil {
		return err
	}
	bin, err := filepath.Abs("bin")
	if err != nil {
		return err
	}
	s := &shell{out: out, bin: bin, kubeconfig: filepath.Join(dir, "kubeconfig")}
	playground := filepath.Join(dir, "playground")
	defer func() {
		// Also after Ctrl-C: nothing stays behind.
		if downErr := s.do(context.WithoutCancel(ctx), "kubefed playground down --dir="+playground); err == nil {
			err = downErr
		}
	}()
	if err := s.do(ctx, "kubefed playground up --dir="+playground); err != nil {
		return err
	}
	var failed error
	for _, line := range story(o, playground, page) {
		if err := s.do(ctx, line); err != nil {
			if ctx.Err() != nil || !strings.HasPrefix(line, "kubefed drill run") {
				return err
			}
			failed = err // the report tells why
		}
	}
	if failed == nil {
		fmt.Fprintf(out, "The report as a page: %s\n", o.report)
	}
	return failed
}

// shell types commands with the project's programs first on PATH and a kubeconfig of its own.
type shell struct {
	out             io.Writer
	bin, kubeconfig string
}

func (s *shell) do(ctx context.Context, line string) error {
	fmt.Fprintf(s.out, "$ %s\n", line)
	words := strings.Fields(line)
	path := filepath.Join(s.bin, words[0])
	cmd := exec.CommandContext(ctx, path, words[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = "examples", s.out, os.Stderr
	cmd.Env = append(os.Environ(), "PATH="+s.bin+string(os.PathListSeparator)+os.Getenv("PATH"), "KUBECONFIG="+s.kubeconfig)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", line, err)
	}
	fmt.Fprintln(s.out)
	return nil
}
