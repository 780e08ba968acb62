package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"
)

// exec runs a command in the folder and environment of a container's process, as kubectl exec asks. There are no
// terminals.
func (k *kubelet) exec(w http.ResponseWriter, r *http.Request) {
	pod, ok := k.podOf(w, r)
	if !ok {
		return
	}
	streams, err := remotecommand.NewOptions(r)
	if err == nil && streams.TTY {
		err = errors.New("local clusters have no terminals: use kubectl exec without -t")
	}
	command := r.URL.Query()["command"]
	if err == nil && len(command) == 0 {
		err = errors.New("there is no command to run")
	}
	var run started
	if err == nil {
		run, err = k.programOf(pod, r.PathValue("container"))
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	executor := executor{k.agent.spawner, run}
	remotecommand.ServeExec(w, r, executor, pod.Name, string(pod.UID), r.PathValue("container"), command, streams,
		streamIdleTimeout, streamCreationTimeout, []string{remotecommand.StreamProtocolV4Name})
}

// programOf is what runs as a pod's container.
func (k *kubelet) programOf(pod *v1.Pod, container string) (started, error) {
	image := containerImage(pod, container)
	if _, real := k.agent.Images[imageRepository(image)]; !real {
		return started{}, fmt.Errorf("container %s of pod %s is simulated: local clusters do not run image %s", container, pod.Name, image)
	}
	p, err := k.running(pod)
	if err != nil {
		return started{}, err
	}
	p.mu.Lock()
	run, ok := p.programs[container]
	p.mu.Unlock()
	if ok && run.alive.Err() == nil {
		return run, nil
	}
	return started{}, fmt.Errorf("container %s of pod %s does not run", container, pod.Name)
}

// executor runs commands beside one container's program.
type executor struct {
	spawner *spawner
	run     started
}

// ExecInContainer ends the command with the container. It returns a CodeExitError where the command ended with another code than 0.
func (e executor) ExecInContainer(ctx context.Context, _, _, _ string, command []string, in io.Reader, out, errs io.WriteCloser,
	_ bool, _ <-chan remotecommand.TerminalSize, _ time.Duration) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.run.alive, cancel)()
	run := e.run.inside(command)
	run.input, run.output, run.errors = in, out, errs
	if errs == nil {
		run.errors = io.Discard // of a client that did not ask for it
	}
	code, err := e.spawner.runToEnd(ctx, run)
	if err == nil && code != 0 {
		err = utilexec.CodeExitError{Err: fmt.Errorf("exit code %d", code), Code: code}
	}
	return err
}
