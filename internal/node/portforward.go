package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/cri-streaming/pkg/streaming/portforward"
)

const (
	// streamIdleTimeout is the kubelet's own default: how long a connection without traffic is kept.
	streamIdleTimeout = 4 * time.Hour
	// streamCreationTimeout is how long a client may take for all streams that belong together.
	streamCreationTimeout = 30 * time.Second
)

// portForward connects a client with ports of a pod's processes. The API server speaks SPDY with nodes, whatever its own
// client speaks.
func (k *kubelet) portForward(w http.ResponseWriter, r *http.Request) {
	pod, ok := k.podOf(w, r)
	if !ok {
		return
	}
	options, err := portforward.NewV4Options(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p, err := k.running(pod)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	defer endWith(p.killed, r)()
	portforward.ServePortForward(w, r, podPorts{p}, pod.Name, string(pod.UID), options,
		streamIdleTimeout, streamCreationTimeout, []string{portforward.ProtocolV1Name})
}

// running finds what runs of a pod.
func (k *kubelet) running(pod *v1.Pod) (*processPod, error) {
	if p, ok := k.agent.processPodOf(string(pod.UID)); ok && p.killed.Err() == nil {
		return p, nil
	}
	if !k.agent.runsProcess(pod) {
		return nil, fmt.Errorf("pod %s is simulated: nothing listens there; local clusters run the project's own images only", pod.Name)
	}
	return nil, fmt.Errorf("pod %s does not run", pod.Name)
}

// podPorts are the ports of one pod.
type podPorts struct{ pod *processPod }

// PortForward copies between a stream and a port until both sides have said all they had to say.
func (p podPorts) PortForward(ctx context.Context, _, _ string, port int32, stream io.ReadWriteCloser) error {
	dialer := net.Dialer{Timeout: dialTimeout}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(p.pod.address.String(), strconv.Itoa(int(port))))
	if err != nil {
		return err
	}
	backend := conn.(*net.TCPConn)
	defer backend.Close()
	defer context.AfterFunc(p.pod.killed, func() { backend.Close() })()
	go func() {
		io.Copy(backend, stream) // ends with the client's half, or with the connection that all streams share
		backend.CloseWrite()
	}()
	if _, err := io.Copy(stream, backend); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}
