package cluster

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"pgregory.net/rapid"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// room makes a resource list of pairs such as "cpu", "2".
func room(pairs ...string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for i := 0; i+1 < len(pairs); i += 2 {
		list[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return list
}

func nodeWith(name string, allocatable corev1.ResourceList, taints ...corev1.Taint) *corev1.Node {
	n := node(true, "", nil)
	n.Name, n.Status.Allocatable, n.Spec.Taints = name, allocatable, taints
	return n
}

// shown writes groups as "2x cpu=1 memory=1Gi pods=10".
func shown(list []federation.FreeNodes) (lines []string) {
	for _, f := range list {
		line := fmt.Sprintf("%dx", f.Nodes)
		for _, name := range []corev1.ResourceName{"cpu", "memory", "pods", "example.com/gpu"} {
			if q, has := f.Free[name]; has {
				line += fmt.Sprintf(" %s=%s", name, q.String())
			}
		}
		lines = append(lines, line)
	}
	return lines
}

func TestFreeOf(t *testing.T) {
	big, small := room("cpu", "4", "memory", "8Gi", "pods", "110", "example.com/gpu", "2"), room("cpu", "2", "memory", "4Gi", "pods", "110")
	cordoned := nodeWith("c", big)
	cordoned.Spec.Unschedulable = true
	for _, test := range []struct {
		name  string
		nodes []*corev1.Node
		used  map[string]amount
		want  []string
	}{
		{"no nodes", nil, nil, []string{"0x"}},
		{"none that takes pods", []*corev1.Node{
			cordoned, nodeWith("t", big, corev1.Taint{Key: "a", Effect: corev1.TaintEffectNoSchedule}),
			nodeWith("u", big, corev1.Taint{Key: "a", Effect: corev1.TaintEffectNoExecute}), node(false, "", nil),
		}, nil, []string{"0x"}},
		{"a soft taint does not matter", []*corev1.Node{nodeWith("a", small, corev1.Taint{Key: "a", Effect: corev1.TaintEffectPreferNoSchedule})}, nil,
			[]string{"1x cpu=2 memory=4Gi pods=110"}},
		{"alike nodes share an entry", []*corev1.Node{nodeWith("a", small), nodeWith("b", big), nodeWith("c", small)}, nil,
			[]string{"1x cpu=4 memory=8Gi pods=110 example.com/gpu=2", "2x cpu=2 memory=4Gi pods=110"}},
		{"requests, rounded down", []*corev1.Node{nodeWith("a", small)},
			map[string]amount{"a": {cpu: 130, memory: 1 << 20, pods: 3}}, []string{"1x cpu=1850m memory=4032Mi pods=107"}},
		{"more requested than there is", []*corev1.Node{nodeWith("a", big)},
			map[string]amount{"a": {cpu: 5000, memory: 1 << 40, pods: 3, extended: map[corev1.ResourceName]int64{"example.com/gpu": 3}}}, []string{"1x cpu=0 memory=0 pods=107"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, shown(FreeOf(test.nodes, test.used))); diff != "" {
				t.Errorf("free (-want +got):\n%s", diff)
			}
		})
	}
}

// TestFreeOfManyNodes: however different nodes are, few groups tell of all of them, and promise nothing that is not there.
func TestFreeOfManyNodes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.IntRange(1, 300).Draw(t, "nodes")
		var nodes []*corev1.Node
		sum := amount{}
		for i := range count {
			a := amount{
				cpu: rapid.Int64Range(0, 256_000).Draw(t, "cpu"), memory: rapid.Int64Range(0, 1<<40).Draw(t, "memory"), pods: rapid.Int64Range(0, 250).Draw(t, "pods"),
				extended: map[corev1.ResourceName]int64{"example.com/gpu": rapid.Int64Range(0, 16).Draw(t, "gpu")},
			}
			nodes = append(nodes, nodeWith(fmt.Sprint(i), a.list()))
			sum = sum.plus(a, 1)
		}
		free := FreeOf(nodes, nil)
		told, room := total(free)
		if len(free) > maxFreeGroups || int(told) != count {
			t.Fatalf("%d groups of %d nodes for %d", len(free), told, count)
		}
		if room.cpu > sum.cpu || room.memory > sum.memory || room.pods > sum.pods || room.extended["example.com/gpu"] > sum.extended["example.com/gpu"] {
			t.Fatalf("more is told of than there is: %+v of %+v", room, sum)
		}
	})
}

func TestFreeToWrite(t *testing.T) {
	free := func(nodes int32, cpu string) []federation.FreeNodes {
		return []federation.FreeNodes{{Nodes: nodes, Free: room("cpu", cpu, "memory", "1Gi", "pods", "100")}}
	}
	allocatable := room("cpu", "20", "memory", "40Gi", "pods", "220")
	for _, test := range []struct {
		name     string
		old, now []federation.FreeNodes
		since    time.Duration
		want     []federation.FreeNodes
	}{
		{"first", nil, free(2, "10"), 0, free(2, "10")},
		{"not told any more", free(2, "10"), []federation.FreeNodes{}, 0, []federation.FreeNodes{}},
		{"not known now", free(2, "10"), nil, time.Hour, nil},
		{"much, a moment later", free(2, "10"), free(2, "5"), time.Second, free(2, "10")},
		{"much", free(2, "10"), free(2, "5"), freeEvery, free(2, "5")},
		{"little", free(2, "10"), free(2, "9950m"), freeEvery, free(2, "10")},
		{"little, for long", free(2, "10"), free(2, "9950m"), freeSettles, free(2, "9950m")},
		{"a node less", free(2, "10"), free(1, "10"), freeEvery, free(1, "10")},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(shown(test.want), shown(freeToWrite(test.old, test.now, allocatable, test.since))); diff != "" {
				t.Errorf("to be written (-want +got):\n%s", diff)
			}
		})
	}
}

func podOn(name, node, cpu string) *corev1.Pod {
	pod := &corev1.Pod{}
	pod.Namespace, pod.Name, pod.Spec.NodeName = "shop", name, node
	pod.Spec.Containers = []corev1.Container{{Name: "web", Resources: corev1.ResourceRequirements{Requests: room("cpu", cpu)}}}
	return pod
}

func TestPodWatch(t *testing.T) {
	w := newPodWatch()
	if used, _, _ := w.Used(); used != nil {
		t.Fatalf("before the first list %v is known", used)
	}
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	is := func(want map[string]amount) {
		t.Helper()
		used, _, _ := w.Used()
		if diff := cmp.Diff(want, used, cmp.AllowUnexported(amount{})); diff != "" {
			t.Errorf("used (-want +got):\n%s", diff)
		}
	}
	do(w.Replace([]any{podOn("a", "n1", "100m"), podOn("b", "n1", "100m"), podOn("c", "", "1")}, "1"))
	is(map[string]amount{"n1": {cpu: 200, pods: 2}})
	do(w.Add(podOn("d", "n2", "300m")))
	do(w.Update(podOn("a", "n1", "150m"))) // resized
	do(w.Update(podOn("c", "n2", "1")))    // scheduled
	is(map[string]amount{"n1": {cpu: 250, pods: 2}, "n2": {cpu: 1300, pods: 2}})
	_, before, _ := w.Used()
	do(w.Update(podOn("a", "n1", "150m")))
	if _, after, _ := w.Used(); after != before {
		t.Error("a pod that did not change counts as a change")
	}
	ended := podOn("b", "n1", "100m")
	ended.Status.Phase = corev1.PodSucceeded
	do(w.Update(ended))
	do(w.Delete(podOn("a", "n1", "150m")))
	do(w.Delete(podOn("unknown", "n1", "150m")))
	is(map[string]amount{"n2": {cpu: 1300, pods: 2}})
	trimmed, err := trimPod(podOn("e", "n3", "2"))
	do(err)
	do(w.Add(trimmed))
	is(map[string]amount{"n2": {cpu: 1300, pods: 2}, "n3": {cpu: 2000, pods: 1}})
}

// BenchmarkPodWatch states the memory per pod of a member of 100,000 pods on 1,000 nodes.
func BenchmarkPodWatch(b *testing.B) {
	const pods = 100_000
	b.ReportAllocs()
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		w := newPodWatch()
		for i := range pods {
			if err := w.Add(podOn(fmt.Sprintf("web-%d", i), fmt.Sprintf("node-%d", i%1000), fmt.Sprintf("%dm", 100+i%50))); err != nil {
				b.Fatal(err)
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/pods, "bytes/pod")
		runtime.KeepAlive(w)
	}
}
