package playground

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// nodesPerCluster is one for each of the usual three zones.
const nodesPerCluster = 3

func (p Playground) imagesFile() string { return filepath.Join(p.Dir, "images.json") }

// launch starts a cluster's process and does not wait for it.
func (p Playground) launch(c cluster) error {
	program, err := findProgram("local-cluster")
	if err != nil {
		return err
	}
	if err := claim(c.IPRange, p.folder(c.Name)); err != nil {
		return fmt.Errorf("starting cluster %s: %w", c.Name, err)
	}
	_, err = p.spawn(c.Name, program, []string{
		"--name=" + c.Name,
		"--dir=" + p.folder(c.Name),
		"--provider=" + c.Provider,
		"--region=" + c.Region,
		"--zones=" + strings.Join(c.Zones, ","),
		fmt.Sprintf("--nodes=%d", nodesPerCluster),
		"--ip-range=" + c.IPRange.String(),
		fmt.Sprintf("--port=%d", apiPort),
		"--images-file=" + p.imagesFile(),
	})
	return err
}

// usableLimit is how long a cluster may take on a machine that is busy with other things.
const usableLimit = 2 * time.Minute

// waitUsable waits until the API is ready and all nodes are.
func (p Playground) waitUsable(ctx context.Context, c cluster) error {
	ctx, cancel := context.WithTimeoutCause(ctx, usableLimit, fmt.Errorf("no success within %v", usableLimit))
	defer cancel()
	for {
		missing := p.unusable(ctx, c)
		if missing == nil {
			return nil
		}
		if _, running, err := p.process(c.Name); err != nil || !running {
			return errors.Join(err, fmt.Errorf("cluster %s ended: %s", c.Name, p.lastWords(c.Name)))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for cluster %s: %w: %w: look at %s", c.Name, missing, context.Cause(ctx), p.logFile(c.Name))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// unusable says what a cluster lacks, nil for nothing.
func (p Playground) unusable(ctx context.Context, c cluster) error {
	config, err := clientcmd.BuildConfigFromFlags("", p.kubeconfig(c.Name))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return errors.New("it has no certificates yet")
		}
		return err
	}
	config.Timeout = 5 * time.Second
	local, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	if _, err := local.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx); err != nil {
		return fmt.Errorf("its API is not ready: %w", err)
	}
	nodes, err := local.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("its nodes are not known: %w", err)
	}
	if len(nodes.Items) < nodesPerCluster {
		return fmt.Errorf("it has %d of %d nodes", len(nodes.Items), nodesPerCluster)
	}
	for _, node := range nodes.Items {
		if !isReady(node) {
			return fmt.Errorf("its node %s is not ready", node.Name)
		}
	}
	return nil
}

func isReady(node corev1.Node) bool {
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

// lastWords is the error with which a cluster's process ended.
func (p Playground) lastWords(cluster string) string {
	data, err := os.ReadFile(p.logFile(cluster))
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
	last := string(lines[len(lines)-1])
	if cause, ok := strings.CutPrefix(last, "error: "); ok {
		return cause
	}
	return fmt.Sprintf("the last line of its log is %q", last)
}
