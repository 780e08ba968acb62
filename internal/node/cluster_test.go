package node

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"

	"kubefed.dev/kubefed/internal/pki"
	"kubefed.dev/kubefed/internal/playground"
	"kubefed.dev/kubefed/internal/testprogram"
)

// clusterProcess is a local cluster that runs the demo web server.
type clusterProcess struct {
	owner   testing.TB // the test with which it ends
	process *testprogram.Process
	args    []string
	dir     string
	client  kubernetes.Interface
}

func startCluster(t *testing.T) *clusterProcess {
	t.Helper()
	dir := t.TempDir()
	images := filepath.Join(dir, "images.json")
	table, _ := json.Marshal(map[string]string{"kubefed.dev/demo-web": testprogram.Find(t, "demo-web")}) // strings alone
	if err := os.WriteFile(images, table, 0o600); err != nil {
		t.Fatal(err)
	}
	addresses, err := playground.Reserve(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = playground.Release(addresses, dir) })
	c := &clusterProcess{owner: t, dir: filepath.Join(dir, "c"), args: []string{
		"--name=n", "--dir=" + filepath.Join(dir, "c"), "--provider=aws", "--region=us-east-1", "--zones=us-east-1a,us-east-1b", "--nodes=2",
		"--ip-range=" + addresses.String(), "--images-file=" + images,
	}}
	c.start(t)
	t.Cleanup(func() { c.end(t, syscall.SIGTERM) })
	return c
}

func (c *clusterProcess) start(t *testing.T) {
	t.Helper()
	c.process = testprogram.Start(c.owner, filepath.Join(filepath.Dir(c.dir), "output"), "local-cluster", c.args...)
	eventually(t, "a ready node and the default service account", func() error {
		config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(c.dir, "kubeconfig"))
		if err != nil {
			return err
		}
		config.QPS = -1
		if c.client, err = kubernetes.NewForConfig(config); err != nil {
			return err
		}
		nodes, err := c.client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
		if err != nil || len(nodes.Items) < 2 || !isReady(&nodes.Items[0]) {
			return fmt.Errorf("nodes %v, %w", nodes, err)
		}
		_, err = c.client.CoreV1().ServiceAccounts("default").Get(t.Context(), "default", metav1.GetOptions{})
		return err
	})
}

func (c *clusterProcess) end(t *testing.T, s syscall.Signal) {
	t.Helper()
	err := c.process.Stop(s)
	if s == syscall.SIGTERM && err != nil {
		t.Errorf("the cluster ended badly: %v", err)
	}
	if pids := c.processes(""); len(pids) > 0 {
		t.Errorf("processes %v outlived the cluster", pids)
	}
}

// processes are those of pods whose directory is in this part of the cluster's.
func (c *clusterProcess) processes(part string) (pids []string) {
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, f := range files {
		if data, err := os.ReadFile(f); err == nil && strings.Contains(string(data), "CONTAINER_ROOT="+filepath.Join(c.dir, part)+"/") {
			pids = append(pids, strings.Split(f, "/")[2])
		}
	}
	return pids
}

func webDeployment() *appsv1.Deployment {
	labels := map[string]string{"app": "web"}
	health := v1.ProbeHandler{HTTPGet: &v1.HTTPGetAction{Path: "/healthz", Port: intstr.FromString("http")}}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To[int32](2),
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: v1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: v1.PodSpec{
				Containers: []v1.Container{{
					Name: "web", Image: "kubefed.dev/demo-web:v1",
					Ports:          []v1.ContainerPort{{Name: "http", ContainerPort: 8080}},
					ReadinessProbe: &v1.Probe{ProbeHandler: health},
					LivenessProbe:  &v1.Probe{ProbeHandler: v1.ProbeHandler{Exec: &v1.ExecAction{Command: []string{"cat", "/etc/secret/token"}}}},
					VolumeMounts:   []v1.VolumeMount{{Name: "secret", MountPath: "/etc/secret"}, {Name: "data", MountPath: "/data"}},
				}},
				Volumes: []v1.Volume{
					{Name: "secret", VolumeSource: v1.VolumeSource{Secret: &v1.SecretVolumeSource{SecretName: "sec"}}},
					{Name: "data", VolumeSource: v1.VolumeSource{PersistentVolumeClaim: &v1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}},
				},
			}},
		},
	}
}

func must[T any](object T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return object
	}
}

// TestCluster is one story on one cluster: starting one for each part would take most of the time.
func TestCluster(t *testing.T) {
	c := startCluster(t)
	ctx, core := t.Context(), c.client.CoreV1()
	create := metav1.CreateOptions{}

	secret := &v1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "sec"}, StringData: map[string]string{"token": "first"}}
	must(core.Secrets("default").Create(ctx, secret, create))(t)
	must(core.PersistentVolumeClaims("default").Create(ctx, &v1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "data"},
		Spec: v1.PersistentVolumeClaimSpec{
			AccessModes: []v1.PersistentVolumeAccessMode{v1.ReadWriteOnce},
			Resources:   v1.VolumeResourceRequirements{Requests: v1.ResourceList{v1.ResourceStorage: resource.MustParse("1Gi")}},
		},
	}, create))(t)
	must(c.client.AppsV1().Deployments("default").Create(ctx, webDeployment(), create))(t)
	must(core.Services("default").Create(ctx, &v1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: v1.ServiceSpec{Type: v1.ServiceTypeLoadBalancer, Selector: map[string]string{"app": "web"},
			Ports: []v1.ServicePort{{Port: 8000, TargetPort: intstr.FromString("http")}}},
	}, create))(t)

	var url string
	t.Run("load balancer reaches both replicas", func(t *testing.T) {
		url = c.balancerURL(t)
		c.awaitPods(t, url, 2)
	})
	t.Run("logs", func(t *testing.T) {
		pod := c.webPods(t)[0]
		text, err := core.Pods("default").GetLogs(pod.Name, &v1.PodLogOptions{TailLines: ptr.To[int64](100)}).DoRaw(ctx)
		if err != nil || !strings.Contains(string(text), "serving") {
			t.Errorf("log %q, %v", text, err)
		}
	})
	t.Run("node ports reach both replicas at every node", c.nodePorts)
	t.Run("exec", c.exec)
	t.Run("port-forward", c.portForward)
	t.Run("secret reaches its volume when it changes", func(t *testing.T) {
		patch := []byte(`{"stringData":{"token":"second"}}`)
		must(core.Secrets("default").Patch(ctx, "sec", types.StrategicMergePatchType, patch, metav1.PatchOptions{}))(t)
		file := filepath.Join(c.dir, "pods", string(c.webPods(t)[0].UID), "v", "secret", "token")
		eventually(t, "the second token", func() error {
			data, err := os.ReadFile(file)
			if err == nil && string(data) != "second" {
				err = fmt.Errorf("it is %q", data)
			}
			return err
		})
	})
	t.Run("failing container backs off and shows its log", func(t *testing.T) { c.crash(t) })
	t.Run("job of a simulated image completes", func(t *testing.T) { c.job(t) })
	t.Run("image that can't be pulled", func(t *testing.T) {
		c.runPod(t, "bad", v1.Container{Name: "c", Image: "nginx:missing"})
		eventually(t, "ImagePullBackOff", func() error { return c.waits("bad", "ImagePullBackOff") })
	})
	t.Run("processes die with the cluster and come back", func(t *testing.T) {
		c.end(t, syscall.SIGKILL)
		c.start(t)
		c.awaitPods(t, url, 2)
		if again := c.balancerURL(t); again != url {
			t.Errorf("the load balancer moved from %s to %s", url, again)
		}
		for _, p := range c.webPods(t) {
			if n := p.Status.ContainerStatuses[0].RestartCount; n != 1 {
				t.Errorf("pod %s has %d restarts, want 1", p.Name, n)
			}
		}
	})
	t.Run("deletion ends processes and refuses connections", func(t *testing.T) {
		if err := c.client.AppsV1().Deployments("default").Delete(ctx, "web", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the end of all web servers", func() error {
			if pods := c.webPods(t); len(pods) > 0 {
				return fmt.Errorf("%d pods exist", len(pods))
			}
			if _, err := get(ctx, url); !errors.Is(err, syscall.ECONNREFUSED) {
				return fmt.Errorf("the load balancer says %w", err)
			}
			return nil
		})
		for _, pid := range c.processes("") {
			if name, _ := os.ReadFile("/proc/" + pid + "/comm"); strings.HasPrefix(string(name), "demo-web") {
				t.Errorf("process %s still runs", pid)
			}
		}
	})
	t.Run("nodes leave nothing behind", c.secondNodes)
	t.Run("volume goes with its claim", func(t *testing.T) {
		if err := c.client.CoreV1().PersistentVolumeClaims("default").Delete(ctx, "data", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "no volume", func() error {
			volumes, err := c.client.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{})
			if err == nil && len(volumes.Items) > 0 {
				err = fmt.Errorf("volume %s is %s", volumes.Items[0].Name, volumes.Items[0].Status.Phase)
			}
			return err
		})
	})
}

// secondNodes are further nodes of the cluster, run by this process: goleak sees what they leave behind.
func (c *clusterProcess) secondNodes(t *testing.T) {
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(c.dir, "kubeconfig"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	addresses, err := playground.Reserve(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = playground.Release(addresses, dir) }()
	authority := filepath.Join(c.dir, "pki", "ca")
	ca := must(pki.LoadCA(must(os.ReadFile(authority+".crt"))(t), must(os.ReadFile(authority+".key"))(t)))(t)
	cert, key, err := ca.Server("test", []string{Addresses(addresses, 1)[0].String()})
	if err != nil {
		t.Fatal(err)
	}
	settings := Config{
		REST: config, Cluster: "second", Provider: "gcp", Region: "r", Zones: []string{"z"}, Nodes: 1, Dir: filepath.Join(c.dir, "second"),
		IPRange: addresses, Images: map[string]string{"example.com/sh": must(exec.LookPath("sh"))(t)},
		ServingCert: must(tls.X509KeyPair(cert, key))(t), ClientCAs: ca.Pool(),
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, settings) }()
	// It ignores the first signal, so that the end has to be a kill.
	script := `trap "" TERM; while :; do sleep 1; done`
	must(c.client.CoreV1().Pods("default").Create(ctx, &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "stubborn"},
		Spec: v1.PodSpec{NodeName: "second-node-1", TerminationGracePeriodSeconds: ptr.To[int64](1), Containers: []v1.Container{
			{Name: "c", Image: "example.com/sh", Args: []string{"-c", script}}}},
	}, metav1.CreateOptions{}))(t)
	eventually(t, "the process", func() error {
		if len(c.processes("second")) == 0 {
			return errors.New("none runs")
		}
		return nil
	})
	awaitStream := c.openStream(t, "stubborn")
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Run() = %v", err)
	}
	awaitStream()
	if pids := c.processes("second"); len(pids) > 0 {
		t.Errorf("processes %v outlived Run", pids)
	}
}

func (c *clusterProcess) webPods(t *testing.T) []v1.Pod {
	t.Helper()
	return must(c.client.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{LabelSelector: "app=web"}))(t).Items
}

func (c *clusterProcess) balancerURL(t *testing.T) (url string) {
	t.Helper()
	eventually(t, "the load balancer's address", func() error {
		s, err := c.client.CoreV1().Services("default").Get(t.Context(), "web", metav1.GetOptions{})
		if err != nil {
			return err
		}
		a, ok := balancerAddress(s)
		if !ok {
			return fmt.Errorf("status %v", s.Status)
		}
		url = "http://" + net.JoinHostPort(a.String(), "8000") + "/"
		return nil
	})
	return url
}

// awaitPods asks until n pods have answered.
func (c *clusterProcess) awaitPods(t *testing.T, url string, n int) {
	t.Helper()
	seen := map[string]bool{}
	eventually(t, "answers of all pods", func() error {
		a, err := get(t.Context(), url)
		if err != nil {
			return err
		}
		if a["cluster"] != "n" || !strings.HasPrefix(a["zone"], "us-east-1") {
			t.Fatalf("answer %v", a)
		}
		if seen[a["pod"]] = true; len(seen) < n {
			return fmt.Errorf("only %v answered", seen)
		}
		return nil
	})
}

func get(ctx context.Context, url string) (answer map[string]string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	request.Close = true // a new connection each time, so that the balancer chooses
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	return answer, json.Unmarshal(data, &answer)
}

func (c *clusterProcess) runPod(t *testing.T, name string, container v1.Container) {
	t.Helper()
	must(c.client.CoreV1().Pods("default").Create(t.Context(), &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1.PodSpec{Containers: []v1.Container{container}},
	}, metav1.CreateOptions{}))(t)
}

// waits is nil if the pod's container waits for this reason.
func (c *clusterProcess) waits(pod, reason string) error {
	p, err := c.client.CoreV1().Pods("default").Get(context.Background(), pod, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if len(p.Status.ContainerStatuses) == 1 {
		if w := p.Status.ContainerStatuses[0].State.Waiting; w != nil && w.Reason == reason {
			return nil
		}
	}
	return fmt.Errorf("status %v", p.Status.ContainerStatuses)
}

func (c *clusterProcess) crash(t *testing.T) {
	ctx, pods := t.Context(), c.client.CoreV1().Pods("default")
	c.runPod(t, "crash", v1.Container{Name: "c", Image: "kubefed.dev/demo-web", Command: []string{"sh", "-c", "echo boom $POD; exit 3"}})
	eventually(t, "CrashLoopBackOff", func() error { return c.waits("crash", "CrashLoopBackOff") })
	s := must(pods.Get(ctx, "crash", metav1.GetOptions{}))(t).Status.ContainerStatuses[0]
	if last := s.LastTerminationState.Terminated; last == nil || last.ExitCode != 3 || last.Reason != "Error" {
		t.Errorf("last termination %v, want code 3", last)
	}
	text, err := pods.GetLogs("crash", &v1.PodLogOptions{}).DoRaw(ctx)
	if err != nil || string(text) != "boom crash\n" {
		t.Errorf("log %q, %v", text, err)
	}
	if err := pods.Delete(ctx, "crash", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the pod's end", func() error {
		p, err := pods.Get(ctx, "crash", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("status %v, %w", p.Status, err)
	})
}

func (c *clusterProcess) job(t *testing.T) {
	jobs := c.client.BatchV1().Jobs("default")
	must(jobs.Create(t.Context(), &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: "job"},
		Spec: batchv1.JobSpec{Completions: ptr.To[int32](2), Template: v1.PodTemplateSpec{Spec: v1.PodSpec{
			RestartPolicy: v1.RestartPolicyNever, Containers: []v1.Container{{Name: "c", Image: "busybox"}},
		}}},
	}, metav1.CreateOptions{}))(t)
	eventually(t, "two completions", func() error {
		j, err := jobs.Get(t.Context(), "job", metav1.GetOptions{})
		if err == nil && j.Status.Succeeded != 2 {
			err = fmt.Errorf("status %v", j.Status)
		}
		return err
	})
}
