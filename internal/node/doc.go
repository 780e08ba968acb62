// Package node is the nodes of a local cluster: it registers Node objects, and runs what the scheduler binds to them.
//
// In: pods, services, claims of one API server. Out: their status, local processes, loopback listeners, directories
// under Config.Dir. It knows nothing of federation.
//
// # Pods
//
// A pod none of whose images is in Config.Images is simulated: it becomes Running and Ready at once, init containers
// are complete, and a pod with restartPolicy Never or OnFailure succeeds after a second (after RunForAnnotation, where
// it is set). Deletion is confirmed at once. An image whose tag is "missing" or contains "does-not-exist" stays in
// ImagePullBackOff.
//
// A container whose image is in the table runs as a process of this machine. What differs from a container:
//
//   - The process is the table's binary; command[0] is looked up on PATH only where its base name is neither that of
//     the binary nor that of the image. Containers of other images in the same pod are simulated.
//   - There is no file system of its own. Where a volumeMount's mountPath begins a path in command, args or an
//     environment variable's value, it is replaced by the host directory of the volume. "--dir=/etc/x",
//     "unix:///etc/x/s" and "a:/etc/x" are found; "/etc/xyz" and "http://h/etc/x" are other paths. The directory named
//     by the variable CONTAINER_ROOT has all mounts at their mountPath, for programs with paths that are built in.
//   - There is no network of its own: a process has to listen on the address in POD_IP, which is in 127.0.0.0/8 and
//     its pod's alone. Kubernetes refuses loopback addresses in EndpointSlices, so the pod's status shows the address
//     with 10 as first number; fieldRef status.podIP gives the one that can be used.
//   - Beside its own environment it has POD, POD_IP, NODE, CLUSTER, PROVIDER, REGION, ZONE, CONTAINER_ROOT, HOSTNAME,
//     HOME, PATH, and KUBERNETES_SERVICE_HOST and _PORT of the real API server.
//   - preStop and postStart hooks, security contexts and resource limits have no effect; back-off starts at one second and ends at
//     a minute; gRPC probes only connect.
//
// # Services and claims
//
// A Service of type LoadBalancer gets an address of Config.IPRange, on which its TCP and UDP ports are forwarded to ready
// endpoints, as node ports are at the address of each node. Datagrams of one client go to one backend until it leaves or
// the client is silent for half a minute. Cluster IPs have no data path. Claims of the default StorageClass are directories.
//
// # Logs, port-forward and exec
//
// Each node serves them to the API server, for containers that are processes. A forwarded port is that of POD_IP. A
// command of exec runs on this machine in the folder and with the environment and mounts of the container's process, and
// ends with it. There are no terminals, and kubectl attach is not served.
package node
