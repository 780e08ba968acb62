package node

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
)

func (k *kubelet) containerLogs(w http.ResponseWriter, r *http.Request) {
	pod, ok := k.podOf(w, r)
	if !ok {
		return
	}
	options, err := parseLogOptions(r.URL.Query(), time.Now())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	name := r.PathValue("container")
	image := containerImage(pod, name)
	if image == "" {
		http.Error(w, fmt.Sprintf("pod %s has no container %s", pod.Name, name), http.StatusNotFound)
		return
	}
	if _, real := k.agent.Images[imageRepository(image)]; !real {
		fmt.Fprintf(w, "container %s of pod %s is simulated: local clusters do not run image %s\n", name, pod.Name, image)
		return
	}
	k.processLogs(w, r, string(pod.UID), name, statusOf(pod, name), options)
}

// processLogs answers with what a process wrote, in this run of the cluster or an earlier one.
func (k *kubelet) processLogs(w http.ResponseWriter, r *http.Request, uid, name string, status *v1.ContainerStatus, options logOptions) {
	var count int32
	if status != nil {
		count = status.RestartCount
	}
	var live *logFile
	if p, ok := k.agent.processPodOf(uid); ok {
		live, count = p.liveLog(name)
	}
	if options.previous {
		live, count = nil, count-1
	}
	file, err := os.Open(logPath(k.agent.podDir(uid), name, count))
	if errors.Is(err, fs.ErrNotExist) && !options.previous {
		// A container that waits for its restart shows the run before.
		file, err = os.Open(logPath(k.agent.podDir(uid), name, count-1))
	}
	if err != nil {
		what := "container %q in pod %q is waiting to start: there is no log yet"
		if options.previous {
			what = "previous terminated container %q in pod %q not found"
		}
		http.Error(w, fmt.Sprintf(what, name, r.PathValue("pod")), http.StatusBadRequest)
		return
	}
	defer file.Close()
	flush := http.NewResponseController(w).Flush
	if err := copyLog(r.Context(), file, live, options, w, func() { flush() }); err != nil {
		klog.FromContext(r.Context()).V(1).Info("sending a log ended", "container", name, "error", err.Error())
	}
}

func statusOf(pod *v1.Pod, container string) *v1.ContainerStatus {
	if s := find(pod.Status.ContainerStatuses, container); s != nil {
		return s
	}
	return find(pod.Status.InitContainerStatuses, container)
}

// liveLog is the log of a container's present run, nil before its first, and the number of restarts.
func (p *processPod) liveLog(name string) (*logFile, int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.logs[name], p.container(name).RestartCount
}
