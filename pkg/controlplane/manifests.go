package controlplane

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Manifests are all objects of a control plane in its host, in the order in which they are applied: what gives the API
// its address first (ExposureManifests), then what the pod needs, then the pod. o is validated.
func Manifests(o Options, c Credentials) []client.Object {
	objects := ExposureManifests(o)
	objects = append(objects, serviceAccount(o))
	secrets := secrets(o, c)
	for i := range secrets {
		objects = append(objects, &secrets[i])
	}
	if o.Etcd.claims() {
		objects = append(objects, claim(o))
	}
	return append(objects, deployment(o, checksum(secrets, o.ServiceAccountAnnotations)))
}

// ExposureManifests are the objects that must be there before the addresses of the API and of DNS are known.
func ExposureManifests(o Options) []client.Object {
	objects := []client.Object{namespace(o), service(o)}
	if o.DNS.exposed(o.DNSZone) {
		objects = append(objects, dnsService(o))
	}
	return objects
}

func objectMeta(o Options, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: Namespace, Labels: labels(o.Name)}
}

func typeMeta(apiVersion, kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: apiVersion, Kind: kind}
}

func namespace(o Options) *corev1.Namespace {
	return &corev1.Namespace{
		TypeMeta: typeMeta("v1", "Namespace"),
		ObjectMeta: metav1.ObjectMeta{
			Name: Namespace,
			// The namespace may be shared with a federation that this cluster is a member of: it is not labelled ours.
			Annotations: map[string]string{
				AnnotationName: o.Name, AnnotationNameV1: o.Name, AnnotationDNSZone: o.DNSZone,
			},
		},
	}
}

const securePort = 6443

func service(o Options) *corev1.Service {
	port := corev1.ServicePort{Name: "https", Protocol: corev1.ProtocolTCP, Port: 443, TargetPort: intstr.FromString("https")}
	switch o.ServiceType {
	case corev1.ServiceTypeNodePort:
		port.NodePort = o.Port
	case corev1.ServiceTypeLoadBalancer:
		if o.Port != 0 {
			port.Port = o.Port
		}
	}
	return &corev1.Service{
		TypeMeta:   typeMeta("v1", "Service"),
		ObjectMeta: objectMeta(o, Name),
		Spec:       corev1.ServiceSpec{Type: o.ServiceType, Selector: selector(o.Name), Ports: []corev1.ServicePort{port}},
	}
}

// serviceAccount has no rights and its token is not mounted: the control plane needs nothing from the host's API.
func serviceAccount(o Options) *corev1.ServiceAccount {
	meta := objectMeta(o, Name)
	meta.Annotations = o.ServiceAccountAnnotations
	return &corev1.ServiceAccount{
		TypeMeta:                     typeMeta("v1", "ServiceAccount"),
		ObjectMeta:                   meta,
		AutomountServiceAccountToken: new(false),
	}
}

func secrets(o Options, c Credentials) []corev1.Secret {
	secret := func(name string, kind corev1.SecretType, data map[string][]byte) corev1.Secret {
		return corev1.Secret{TypeMeta: typeMeta("v1", "Secret"), ObjectMeta: objectMeta(o, name), Type: kind, Data: data}
	}
	all := []corev1.Secret{
		secret(SecretCA, corev1.SecretTypeTLS, map[string][]byte{
			corev1.TLSCertKey: c.CACert, corev1.TLSPrivateKeyKey: c.CAKey,
		}),
		secret(SecretKeys, corev1.SecretTypeOpaque, map[string][]byte{
			keyServiceKey: c.ServiceAccountKey, keyEncryption: c.Encryption,
		}),
		secret(SecretServing, corev1.SecretTypeTLS, map[string][]byte{
			corev1.TLSCertKey: c.ServingCert, corev1.TLSPrivateKeyKey: c.ServingKey, keyCACert: c.CACert,
		}),
	}
	all = append(all, secret(SecretDNS, corev1.SecretTypeOpaque, dnsFiles(o)))
	if data := o.Cloud.files(); len(data) > 0 {
		all = append(all, secret(SecretCloud, corev1.SecretTypeOpaque, data))
	}
	if data := etcdFiles(o.Etcd); len(data) > 0 {
		all = append(all, secret(SecretEtcd, corev1.SecretTypeOpaque, data))
	}
	return all
}

func etcdFiles(e Etcd) map[string][]byte {
	files := map[string][]byte{keyCACert: e.CA, corev1.TLSCertKey: e.Cert, corev1.TLSPrivateKeyKey: e.Key}
	maps.DeleteFunc(files, func(_ string, data []byte) bool { return len(data) == 0 })
	return files
}

func claim(o Options) *corev1.PersistentVolumeClaim {
	pvc := &corev1.PersistentVolumeClaim{
		TypeMeta:   typeMeta("v1", "PersistentVolumeClaim"),
		ObjectMeta: objectMeta(o, ClaimName),
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(o.Etcd.Capacity)},
			},
		},
	}
	if o.Etcd.StorageClass != "" {
		pvc.Spec.StorageClassName = &o.Etcd.StorageClass
	}
	return pvc
}

// checksum changes with what the pod mounts, so that a new certificate or key restarts it, and with whom its cloud takes it for, which
// clouds only look at when a pod begins.
func checksum(secrets []corev1.Secret, annotations map[string]string) string {
	sum := sha256.New()
	for _, s := range secrets {
		for _, key := range slices.Sorted(maps.Keys(s.Data)) {
			fmt.Fprintf(sum, "%s %s %d ", s.Name, key, len(s.Data[key]))
			sum.Write(s.Data[key])
		}
	}
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		fmt.Fprintf(sum, "%q=%q ", key, annotations[key])
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

// applyForm is an object in the form in which it is applied and printed: without the fields that the host fills in.
func applyForm(obj client.Object) (*unstructured.Unstructured, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", describe(obj), err)
	}
	delete(content, "status")
	if obj.GetObjectKind().GroupVersionKind().Kind == "Namespace" {
		delete(content, "spec")
	}
	u := &unstructured.Unstructured{Object: content}
	unstructured.RemoveNestedField(u.Object, "metadata", "creationTimestamp")
	unstructured.RemoveNestedField(u.Object, "spec", "template", "metadata", "creationTimestamp")
	return u, nil
}

func describe(obj client.Object) string {
	kind := obj.GetObjectKind().GroupVersionKind().Kind
	if obj.GetNamespace() == "" {
		return kind + " " + obj.GetName()
	}
	return kind + " " + obj.GetNamespace() + "/" + obj.GetName()
}
