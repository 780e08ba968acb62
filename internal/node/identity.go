package node

import (
	"fmt"
	"hash/fnv"
	"runtime"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const kubeletVersion = "v1.36.3"

// nodeObject is what node i says of itself; its Ready condition and addresses come with its status.
func nodeObject(c Config, i int) *v1.Node {
	name := nodeName(c, i)
	labels := map[string]string{
		v1.LabelHostname:           name,
		v1.LabelOSStable:           runtime.GOOS,
		v1.LabelArchStable:         runtime.GOARCH,
		v1.LabelInstanceTypeStable: instanceType(c.Provider),
	}
	zone := zoneOf(c, i)
	if c.Region != "" {
		labels[v1.LabelTopologyRegion] = c.Region
	}
	if zone != "" {
		labels[v1.LabelTopologyZone] = zone
	}
	return &v1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Spec:       v1.NodeSpec{ProviderID: providerID(c, name, zone)},
	}
}

func nodeName(c Config, i int) string { return fmt.Sprintf("%s-node-%d", c.Cluster, i+1) }

func zoneOf(c Config, i int) string {
	if len(c.Zones) == 0 {
		return ""
	}
	return c.Zones[i%len(c.Zones)]
}

func instanceType(provider string) string {
	switch provider {
	case "aws":
		return "m5.4xlarge"
	case "gcp":
		return "n2-standard-16"
	}
	return "local"
}

// providerID has the form that the provider's cloud controller manager writes. On-premises nodes have none in most
// installations, and none here.
func providerID(c Config, name, zone string) string {
	switch c.Provider {
	case "aws":
		// An instance ID is "i-" and 17 hexadecimal digits; the name makes it stable.
		h := fnv.New64a()
		h.Write([]byte(name))
		return fmt.Sprintf("aws:///%s/i-0%016x", zone, h.Sum64())
	case "gcp":
		return fmt.Sprintf("gce://%s/%s/%s", "local-"+c.Cluster, zone, name)
	}
	return ""
}

func capacity(c Config) v1.ResourceList {
	return v1.ResourceList{
		v1.ResourceCPU:              resource.MustParse("16"),
		v1.ResourceMemory:           resource.MustParse("64Gi"),
		v1.ResourceEphemeralStorage: resource.MustParse("100Gi"),
		v1.ResourcePods:             *resource.NewQuantity(int64(c.PodsPerNode), resource.DecimalSI),
	}
}

// nodeStatus is the status of a healthy node whose kubelet endpoint listens on port.
func nodeStatus(c Config, name, address string, port int32, now metav1.Time) v1.NodeStatus {
	condition := func(t v1.NodeConditionType, s v1.ConditionStatus, reason, message string) v1.NodeCondition {
		return v1.NodeCondition{Type: t, Status: s, Reason: reason, Message: message, LastHeartbeatTime: now, LastTransitionTime: now}
	}
	return v1.NodeStatus{
		Capacity:    capacity(c),
		Allocatable: capacity(c),
		Conditions: []v1.NodeCondition{
			condition(v1.NodeMemoryPressure, v1.ConditionFalse, "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
			condition(v1.NodeDiskPressure, v1.ConditionFalse, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
			condition(v1.NodePIDPressure, v1.ConditionFalse, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
			condition(v1.NodeReady, v1.ConditionTrue, "KubeletReady", "kubelet is posting ready status"),
		},
		Addresses: []v1.NodeAddress{
			{Type: v1.NodeInternalIP, Address: address},
			{Type: v1.NodeHostName, Address: name},
		},
		DaemonEndpoints: v1.NodeDaemonEndpoints{KubeletEndpoint: v1.DaemonEndpoint{Port: port}},
		NodeInfo: v1.NodeSystemInfo{
			KubeletVersion:          kubeletVersion,
			OperatingSystem:         runtime.GOOS,
			Architecture:            runtime.GOARCH,
			ContainerRuntimeVersion: "process://1.0.0",
			OSImage:                 "kubefed local node",
			KernelVersion:           "local",
			MachineID:               name,
			SystemUUID:              name,
			BootID:                  name,
		},
	}
}
