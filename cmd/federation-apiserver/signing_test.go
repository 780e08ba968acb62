package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func testSigning(t *testing.T, s *server) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "sam"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	requests := s.client.CertificatesV1().CertificateSigningRequests()
	if _, err := requests.Create(t.Context(), &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{Name: "sam"},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			Request:    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}),
			SignerName: certificatesv1.KubeAPIServerClientSignerName,
			Usages:     []certificatesv1.KeyUsage{certificatesv1.UsageClientAuth},
		},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	s.mustKubectl(t, "", "certificate", "approve", "sam")
	mustAwait(t, 20*time.Second, func() string {
		request, err := requests.Get(t.Context(), "sam", metav1.GetOptions{})
		if err != nil {
			return err.Error()
		}
		if len(request.Status.Certificate) == 0 {
			return "no certificate in the status"
		}
		return ""
	})
}

// watchFrom starts a watch after everything that there is.
func watchFrom(t *testing.T, s *server, namespace string) metav1.ListOptions {
	t.Helper()
	list, err := s.client.CoreV1().ConfigMaps(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return metav1.ListOptions{ResourceVersion: list.ResourceVersion}
}
