package controlplane

import (
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// Where the pod finds its files.
const (
	servingDir = "/etc/federation/serving"
	keysDir    = "/etc/federation/keys"
	caDir      = "/etc/federation/ca"
	etcdTLSDir = "/etc/federation/etcd"
	dnsDir     = "/etc/federation/dns"
	cloudDir   = "/etc/federation/cloud"
	dataDir    = "/var/lib/federation"
)

// issuer is the service-account token issuer. It does not depend on how the API is exposed, so that tokens stay valid
// when its address changes.
const issuer = "https://" + Name + "." + Namespace + ".svc"

// nonRoot is the user of the project's images.
const nonRoot = 65532

// annotationChecksum on the pod template restarts the pod when its Secrets change.
const annotationChecksum = federation.GroupName + "/secrets-checksum"

func deployment(o Options, secretsChecksum string) *appsv1.Deployment {
	strategy := appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType}
	if o.Etcd.Embedded() {
		// Two etcds must never have the same data directory open.
		strategy.Type = appsv1.RecreateDeploymentStrategyType
	}
	return &appsv1.Deployment{
		TypeMeta:   typeMeta("apps/v1", "Deployment"),
		ObjectMeta: objectMeta(o, Name),
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(1)),
			Strategy: strategy,
			Selector: &metav1.LabelSelector{MatchLabels: selector(o.Name)},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{
					Labels:      labels(o.Name),
					Annotations: map[string]string{annotationChecksum: secretsChecksum},
				},
				Spec: podSpec(o),
			},
		},
	}
}

// podSpec meets the Pod Security Standard "restricted".
func podSpec(o Options) corev1.PodSpec {
	spec := corev1.PodSpec{
		ServiceAccountName:           Name,
		AutomountServiceAccountToken: new(false),
		EnableServiceLinks:           new(false),
		NodeSelector:                 o.NodeSelector,
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: new(true), RunAsUser: new(int64(nonRoot)), RunAsGroup: new(int64(nonRoot)),
			FSGroup:        new(int64(nonRoot)),
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Containers: []corev1.Container{container(o)},
		Volumes:    volumes(o),
	}
	for _, name := range o.PullSecrets {
		spec.ImagePullSecrets = append(spec.ImagePullSecrets, corev1.LocalObjectReference{Name: name})
	}
	return spec
}

func container(o Options) corev1.Container {
	c := corev1.Container{
		Name:            Name,
		Image:           o.Image,
		ImagePullPolicy: o.PullPolicy,
		Args:            arguments(o),
		Env: []corev1.EnvVar{{
			Name:      "POD_IP",
			ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "status.podIP"}},
		}},
		Ports: append([]corev1.ContainerPort{{Name: "https", ContainerPort: securePort, Protocol: corev1.ProtocolTCP}}, dnsContainerPorts(o)...),
		// Requests only: a memory limit would kill the API in the very moment it is needed most.
		Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("250m"), corev1.ResourceMemory: resource.MustParse("512Mi"),
		}},
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true),
			Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
		// Two minutes to start: a large etcd is read before the API answers.
		StartupProbe:   probe("/livez", 1, 120),
		LivenessProbe:  probe("/livez", 10, 6),
		ReadinessProbe: probe("/readyz", 2, 3),
	}
	for _, v := range volumes(o) {
		mount := corev1.VolumeMount{Name: v.Name, ReadOnly: v.Secret != nil}
		mount.MountPath = map[string]string{"serving": servingDir, "keys": keysDir, "ca": caDir, "dns": dnsDir, "cloud": cloudDir, "etcd-tls": etcdTLSDir, "data": dataDir}[v.Name]
		c.VolumeMounts = append(c.VolumeMounts, mount)
	}
	return c
}

func probe(path string, period, failures int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
			Path: path, Port: intstr.FromString("https"), Scheme: corev1.URISchemeHTTPS,
		}},
		PeriodSeconds: period, TimeoutSeconds: 5, FailureThreshold: failures, SuccessThreshold: 1,
	}
}

func volumes(o Options) []corev1.Volume {
	secret := func(volume, name string) corev1.Volume {
		return corev1.Volume{Name: volume, VolumeSource: corev1.VolumeSource{
			// Group-readable: the process runs as the group of fsGroup.
			Secret: &corev1.SecretVolumeSource{SecretName: name, DefaultMode: new(int32(0o440))},
		}}
	}
	all := []corev1.Volume{secret("serving", SecretServing), secret("keys", SecretKeys), secret("ca", SecretCA), secret("dns", SecretDNS)}
	if o.Cloud.Config != nil {
		all = append(all, secret("cloud", SecretCloud))
	}
	if len(etcdFiles(o.Etcd)) > 0 {
		all = append(all, secret("etcd-tls", SecretEtcd))
	}
	// With an external etcd the directory holds nothing that lasts.
	data := corev1.Volume{Name: "data", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}
	if o.Etcd.claims() {
		data.VolumeSource = corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: ClaimName},
		}
	}
	return append(all, data)
}

// arguments are the flags of federation-apiserver, with the user's overrides in place of the same flag or at the end.
func arguments(o Options) []string {
	args := []string{
		"--federation-name=" + o.Name,
		"--dns-zone-name=" + o.DNSZone,
		"--data-dir=" + dataDir,
		"--bind-address=$(POD_IP)",
		fmt.Sprintf("--secure-port=%d", securePort),
		"--tls-cert-file=" + servingDir + "/" + corev1.TLSCertKey,
		"--tls-private-key-file=" + servingDir + "/" + corev1.TLSPrivateKeyKey,
		"--client-ca-file=" + servingDir + "/" + keyCACert,
		"--cluster-signing-cert-file=" + caDir + "/" + corev1.TLSCertKey,
		"--cluster-signing-key-file=" + caDir + "/" + corev1.TLSPrivateKeyKey,
		"--service-account-signing-key-file=" + keysDir + "/" + keyServiceKey,
		"--service-account-key-file=" + keysDir + "/" + keyServiceKey,
		"--service-account-issuer=" + issuer,
		"--encryption-provider-config=" + keysDir + "/" + keyEncryption,
		"--controllers=*",
		"--leader-elect=true",
		"--dns-config=" + dnsDir + "/" + keyDNSConfig,
	}
	if o.DNS.config(o.DNSZone).HasEmbedded() {
		args = append(args, fmt.Sprintf("--dns-listen=$(POD_IP):%d", dnsPort))
	}
	if o.Cloud.Config != nil {
		args = append(args, "--cloud-config="+cloudDir+"/"+keyCloudConfig)
	}
	if !o.Etcd.Embedded() {
		args = append(args, "--etcd-servers="+strings.Join(o.Etcd.Servers, ","))
	}
	for _, file := range []struct{ flag, key string }{
		{"--etcd-cafile", keyCACert}, {"--etcd-certfile", corev1.TLSCertKey}, {"--etcd-keyfile", corev1.TLSPrivateKeyKey},
	} {
		if _, ok := etcdFiles(o.Etcd)[file.key]; ok {
			args = append(args, file.flag+"="+etcdTLSDir+"/"+file.key)
		}
	}
	for _, override := range o.ArgOverrides {
		args = replaceFlag(args, override)
	}
	return args
}

func replaceFlag(args []string, override string) []string {
	name, _, _ := strings.Cut(override, "=")
	for i, arg := range args {
		if flag, _, _ := strings.Cut(arg, "="); flag == name {
			args[i] = override
			return args
		}
	}
	return append(args, override)
}
