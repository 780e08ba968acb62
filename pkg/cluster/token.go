package cluster

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// tokenLifetime is asked for; a member may give less.
const tokenLifetime = 24 * time.Hour

var errNotJWT = errors.New("token is no JWT with an expiry")

// lifetime reads when a service-account token was issued and when it ends (RFC 7519, section 4.1). The signature is the
// member's business.
func lifetime(token string) (issued, expires time.Time, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}, time.Time{}, errNotJWT
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return time.Time{}, time.Time{}, errNotJWT
	}
	var claims struct {
		Issued  float64 `json:"iat"`
		Expires float64 `json:"exp"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil || claims.Expires <= 0 || claims.Issued < 0 || claims.Expires < claims.Issued ||
		claims.Expires > 1<<40 {
		return time.Time{}, time.Time{}, errNotJWT
	}
	return time.Unix(int64(claims.Issued), 0), time.Unix(int64(claims.Expires), 0), nil
}

// renewAt says when a token is renewed: at 60 to 80 % of its life. The place in between is the cluster's own, so that
// members that joined together do not renew together, also after a restart.
func renewAt(name string, issued, expires time.Time) time.Time {
	h := fnv.New32a()
	h.Write([]byte(name))
	share := 0.6 + 0.2*float64(h.Sum32()%1000)/1000
	return issued.Add(time.Duration(share * float64(expires.Sub(issued))))
}

// requestToken has a member issue a token for the federation's service account.
func requestToken(ctx context.Context, member corev1client.ServiceAccountsGetter, life time.Duration) (string, error) {
	seconds := int64(life / time.Second)
	request, err := member.ServiceAccounts(federation.SystemNamespace).CreateToken(ctx, ServiceAccount,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("requesting a token for service account %s/%s: %w", federation.SystemNamespace, ServiceAccount, err)
	}
	return request.Status.Token, nil
}
