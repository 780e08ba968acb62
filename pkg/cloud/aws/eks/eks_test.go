package eks

import (
	"encoding/base64"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-multierror"

	"kubefed.dev/kubefed/pkg/cloud"
	"kubefed.dev/kubefed/pkg/cloud/aws"
	"kubefed.dev/kubefed/pkg/cloud/aws/awstest"
	"kubefed.dev/kubefed/pkg/cloud/aws/places"
	"kubefed.dev/kubefed/pkg/cloud/config"
	"kubefed.dev/kubefed/pkg/cloud/permissions"
)

const (
	keyID  = "AKIDEXAMPLE"
	secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

// keyFile has a key.
func keyFile(t *testing.T, id, token string) config.Credentials {
	t.Helper()
	text := "[default]\naws_access_key_id = " + id + "\naws_secret_access_key = " + secret + "\n"
	if token != "" {
		text += "aws_session_token = " + token + "\n"
	}
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Credentials{Static: &config.StaticCredentials{File: path}}
}

func open(t *testing.T, a config.Account) *Finder {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAHOSTILE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "hostile")
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
	t.Setenv("AWS_ENDPOINT_URL_EKS", "http://127.0.0.1:1")
	a.Name, a.Provider, a.RequestsPerSecond = "prod", config.AWS, 1000
	s, err := aws.Open(t.Context(), a, aws.Patience(30*time.Second, time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	return finder(s)
}

// simulate is an account with clusters in two regions, and a Finder for it.
func simulate(t *testing.T, regions ...string) (*awstest.Cloud, *Finder) {
	t.Helper()
	c := awstest.New()
	c.SetKey(awstest.Key{ID: keyID, Secret: secret, ARN: "arn:aws:iam::123456789012:user/ops"})
	c.SetPage(2)
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		c.SetCluster("us-east-1", awstest.Cluster{Name: name, Version: "1.36", Endpoint: "https://" + name, CA: []byte("pem")})
	}
	c.SetCluster("eu-west-1", awstest.Cluster{Name: "new", Version: "1.36", Status: "CREATING"})
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	t.Cleanup(func() {
		for _, asked := range c.Operations() {
			if asked != "sts:GetCallerIdentity" && !slices.ContainsFunc(permissions.Of(config.AWS), func(p permissions.Permission) bool { return p.Name == asked }) {
				t.Errorf("%s is asked for, and no permission that is listed", asked)
			}
		}
	})
	return c, open(t, config.Account{Regions: regions, Credentials: []config.Credentials{keyFile(t, keyID, "")}, Endpoints: map[string]string{"*": server.URL}})
}

func names(clusters []cloud.Cluster) (out []string) {
	for _, c := range clusters {
		out = append(out, c.Reference.String())
	}
	return out
}

func TestClusters(t *testing.T) {
	c, f := simulate(t)
	got, err := f.Clusters(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"eks:eu-west-1/new", "eks:us-east-1/a", "eks:us-east-1/b", "eks:us-east-1/c", "eks:us-east-1/d", "eks:us-east-1/e"}
	if diff := cmp.Diff(want, names(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff(cloud.Cluster{Reference: got[1].Reference, Version: "1.36", Endpoint: "https://a", CA: []byte("pem"), Region: "us-east-1", State: "ACTIVE", Usable: true}, got[1]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got[0].Usable || got[0].State != "CREATING" {
		t.Errorf("%+v", got[0])
	}
	if n := c.Calls("eks:ListClusters"); n != len(places.Regions())+2 {
		t.Errorf("%d lists", n)
	}
	if got, err := f.Clusters(t.Context(), []string{"eu-west-1"}); err != nil || len(got) != 1 {
		t.Errorf("%v, %v", names(got), err)
	}
}

func TestHalfOfTheRegionsFail(t *testing.T) {
	c, f := simulate(t, "us-east-1", "us-east-2", "eu-west-1", "eu-west-2", "ap-south-1", "sa-east-1")
	for _, region := range []string{"us-east-2", "eu-west-2", "ap-south-1", "sa-east-1"} {
		c.Break(awstest.Fault{Kind: awstest.Down, Family: "eks", Region: region})
	}
	c.Break(awstest.Fault{Kind: awstest.Deny, Operation: "DescribeCluster", Region: "eu-west-1"})
	got, err := f.Clusters(t.Context(), nil)
	if len(got) != 6 || got[0].Reference.Name != "new" || got[0].Usable || !got[1].Usable {
		t.Errorf("%+v", got)
	}
	several, ok := errors.AsType[*multierror.Error](err)
	if !ok || len(several.Errors) != 2 {
		t.Fatalf("%v", err)
	}
	for i, want := range []string{
		"eks:ListClusters in ap-south-1, eu-west-2, sa-east-1 and 1 more regions: Unavailable: ServerException: An internal error occurred",
		"eks:DescribeCluster new in eu-west-1: Denied: AccessDeniedException: ",
	} {
		if got := several.Errors[i].Error(); !strings.HasPrefix(got, want) {
			t.Errorf("error %q, want %q", got, want)
		}
	}
}

func TestNothingIsAnswered(t *testing.T) {
	for kind, want := range map[awstest.FaultKind]cloud.ErrorKind{
		awstest.Deny: cloud.Denied, awstest.Throttle: cloud.Throttled, awstest.Down: cloud.Unavailable, awstest.Garble: cloud.Unavailable, awstest.Stuck: cloud.Unavailable,
	} {
		c, f := simulate(t)
		c.Break(awstest.Fault{Kind: kind, Region: "us-east-1"})
		got, err := f.Clusters(t.Context(), nil)
		if cloud.KindOf(err) != want || !strings.Contains(err.Error(), "eks:ListClusters in us-east-1: ") {
			t.Errorf("%s: %v", kind, err)
		}
		if kind != awstest.Stuck && len(got) != 1 {
			t.Errorf("%s: %v", kind, names(got))
		}
	}
}

func TestRegionsWithoutOptIn(t *testing.T) {
	c, f := simulate(t)
	c.RevokeKey(keyID)
	if got, err := f.Clusters(t.Context(), []string{"af-south-1"}); cloud.KindOf(err) != cloud.Denied || len(got) != 0 {
		t.Errorf("a region that was named: %v, %v", got, err)
	}
	_, err := f.Clusters(t.Context(), nil)
	if err == nil || !strings.Contains(err.Error(), "14 more regions: Denied: UnrecognizedClientException") {
		t.Error(err)
	}
}

func TestCluster(t *testing.T) {
	c, f := simulate(t)
	if got, err := f.Cluster(t.Context(), cloud.Reference{Service: cloud.EKS, Location: "us-east-1", Name: "c"}); err != nil || !got.Usable {
		t.Errorf("%+v, %v", got, err)
	}
	_, err := f.Cluster(t.Context(), cloud.Reference{Service: cloud.EKS, Location: "us-east-1", Name: "z"})
	if cloud.KindOf(err) != cloud.NotFound || !strings.Contains(err.Error(), "eks:DescribeCluster z in us-east-1: NotFound: ResourceNotFoundException: No cluster found for name: z.") {
		t.Error(err)
	}
	if _, err := f.Cluster(t.Context(), cloud.Reference{Service: cloud.EKS, Location: "evil.example/#", Name: "z"}); err == nil {
		t.Error("a region that is none")
	}
	c.Break(awstest.Fault{Kind: awstest.Reset})
	if _, err := f.Cluster(t.Context(), cloud.Reference{Service: cloud.EKS, Location: "us-east-1", Name: "c"}); cloud.KindOf(err) != cloud.Unavailable {
		t.Error(err)
	}
}

// TestTokenIsThatOfTheTools compares with what `aws eks get-token` of AWS CLI v1 makes of the same key, clock and cluster; computed
// with botocore, which writes a session's token behind the signed headers: the order is not signed.
func TestTokenIsThatOfTheTools(t *testing.T) {
	const rest = "&X-Amz-Expires=60&X-Amz-SignedHeaders=host%3Bx-k8s-aws-id"
	for _, test := range []struct{ region, cluster, token, want string }{
		{"eu-west-1", "prod-a", "", "https://sts.eu-west-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256" +
			"&X-Amz-Credential=AKIDEXAMPLE%2F20260102%2Feu-west-1%2Fsts%2Faws4_request&X-Amz-Date=20260102T030405Z" + rest +
			"&X-Amz-Signature=98200b4acc6da1a0ce978bfb1984d60a4a93465fd5e5f1f8d59c5c79a4dc926b"},
		{"us-east-1", "prod-b", "session/one+two==", "https://sts.us-east-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256" +
			"&X-Amz-Credential=AKIDEXAMPLE%2F20260102%2Fus-east-1%2Fsts%2Faws4_request&X-Amz-Date=20260102T030405Z&X-Amz-Expires=60" +
			"&X-Amz-Security-Token=session%2Fone%2Btwo%3D%3D&X-Amz-SignedHeaders=host%3Bx-k8s-aws-id&X-Amz-Signature=75bea0a9cb375b6678e15c05d6a98ec78446b07f98351090e8a934cf3a8f79a5"},
		{"cn-north-1", "prod-c", "", "https://sts.cn-north-1.amazonaws.com.cn/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256" +
			"&X-Amz-Credential=AKIDEXAMPLE%2F20260102%2Fcn-north-1%2Fsts%2Faws4_request&X-Amz-Date=20260102T030405Z" + rest +
			"&X-Amz-Signature=2b66ee19133564c2a1bae9c3c9f04d58e38b25911c5d2ad1adb5f34d737c5f11"},
	} {
		f := open(t, config.Account{Credentials: []config.Credentials{keyFile(t, keyID, test.token)}})
		f.now = func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }
		token, until, err := f.Token(t.Context(), cloud.Cluster{Reference: cloud.Reference{Service: cloud.EKS, Location: test.region, Name: test.cluster}})
		if err != nil {
			t.Fatal(err)
		}
		if want := "k8s-aws-v1." + base64.RawURLEncoding.EncodeToString([]byte(test.want)); token != want {
			t.Errorf("token\n%s, want\n%s", token, want)
		}
		if want := f.now().Add(14 * time.Minute); !until.Equal(want) {
			t.Errorf("until %s, want %s", until, want)
		}
	}
}

func TestIdentity(t *testing.T) {
	_, f := simulate(t)
	if who, err := f.Identity(t.Context()); err != nil || who != "arn:aws:iam::123456789012:user/ops" {
		t.Errorf("%s, %v", who, err)
	}
}

func TestTokenIsTaken(t *testing.T) {
	c, f := simulate(t)
	b := cloud.Cluster{Reference: cloud.Reference{Service: cloud.EKS, Location: "us-east-1", Name: "b"}}
	token, _, err := f.Token(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	if cluster, identity, err := c.VerifyToken(token); err != nil || cluster != "b" || identity != "arn:aws:iam::123456789012:user/ops" {
		t.Errorf("%s, %s, %v", cluster, identity, err)
	}
	refused := map[string]string{
		"nothing":        "",
		"no prefix":      strings.TrimPrefix(token, tokenPrefix),
		"other padding":  token + "=",
		"other URL":      tokenPrefix + base64.RawURLEncoding.EncodeToString([]byte("https://evil.example/")),
		"cut":            token[:len(token)-8],
		"other cluster":  "",
		"expired":        "",
		"more in it":     "",
		"not for tokens": "",
	}
	b.Reference.Name = "none"
	refused["other cluster"], _, _ = f.Token(t.Context(), b)
	b.Reference.Name = "b"
	f.now = func() time.Time { return time.Now().Add(-time.Hour) }
	refused["expired"], _, _ = f.Token(t.Context(), b)
	text, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, tokenPrefix))
	if err != nil {
		t.Fatal(err)
	}
	refused["more in it"] = tokenPrefix + base64.RawURLEncoding.EncodeToString(append(text, "&Extra=1"...))
	refused["not for tokens"] = tokenPrefix + base64.RawURLEncoding.EncodeToString([]byte(strings.ReplaceAll(string(text), "%3Bx-k8s-aws-id", "")))
	for name, token := range refused {
		if cluster, identity, err := c.VerifyToken(token); err == nil {
			t.Errorf("%s: taken as %s for %s", name, identity, cluster)
		}
	}
	c.RevokeKey(keyID)
	if _, _, err := c.VerifyToken(token); err == nil {
		t.Error("a key that is gone")
	}
}
