package aws_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sts"

	"kubefed.dev/kubefed/pkg/cloud"
	"kubefed.dev/kubefed/pkg/cloud/aws"
	"kubefed.dev/kubefed/pkg/cloud/aws/awstest"
	"kubefed.dev/kubefed/pkg/cloud/config"
)

const (
	secret = "not/to+be/seen"
	role   = "arn:aws:iam::123456789012:role/kubefed"
)

// hostile sets all that the SDK would take from the environment: none of it may have a part in what is asked.
func hostile(t *testing.T) {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "AKIAHOSTILE", "AWS_SECRET_ACCESS_KEY": "hostile", "AWS_SESSION_TOKEN": "hostile", "AWS_PROFILE": "hostile",
		"AWS_REGION": "hostile-1", "AWS_DEFAULT_REGION": "hostile-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:1",
		"AWS_ENDPOINT_URL_EKS": "http://127.0.0.1:1", "AWS_ROLE_ARN": role + "-hostile", "AWS_WEB_IDENTITY_TOKEN_FILE": "/dev/null",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_MAX_ATTEMPTS": "1", "AWS_CA_BUNDLE": "/dev/null",
		"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/hostile",
	} {
		t.Setenv(name, value)
	}
}

// simulate is an account with a key, and a file that has it.
func simulate(t *testing.T) (c *awstest.Cloud, url, file string) {
	t.Helper()
	hostile(t)
	c = awstest.New()
	c.SetKey(awstest.Key{ID: "AKIDSTATIC", Secret: secret, ARN: "arn:aws:iam::123456789012:user/static"})
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	return c, server.URL, write(t, "keys", keys("default", "AKIDSTATIC", secret, ""))
}

func keys(section, id, secret, token string) string {
	text := "[" + section + "]\naws_access_key_id = " + id + "\naws_secret_access_key = " + secret + "\n"
	if token != "" {
		text += "aws_session_token = " + token + "\n"
	}
	return text
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func account(url string, credentials ...config.Credentials) config.Account {
	return config.Account{Name: "prod", Provider: config.AWS, Credentials: credentials, Endpoints: map[string]string{"*": url}, RequestsPerSecond: 1000}
}

func static(file string) config.Credentials {
	return config.Credentials{Static: &config.StaticCredentials{File: file}}
}

// who asks STS who the session is.
func who(ctx context.Context, s *aws.Session, region string) (string, error) {
	client := sts.NewFromConfig(s.Config(config.FamilySTS, region))
	return aws.Ask(ctx, s, aws.Call{Family: config.FamilySTS, Operation: "GetCallerIdentity", Region: region}, func(ctx context.Context) (string, error) {
		out, err := client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		if err != nil {
			return "", err
		}
		return *out.Arn, nil
	})
}

func TestFirstCredentialsThatAreThereAreUsed(t *testing.T) {
	c, url, file := simulate(t)
	c.SetKey(awstest.Key{ID: "ASIAPOD", Secret: secret, Token: "pod", ARN: "arn:aws:iam::123456789012:role/pod"})
	c.SetKey(awstest.Key{ID: "AKIDPROFILE", Secret: secret, ARN: "arn:aws:iam::123456789012:user/profile"})
	c.SetRole(role, "a-jwt")
	agent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "agent-token" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte(`{"AccessKeyId":"ASIAPOD","SecretAccessKey":"` + secret + `","Token":"pod","Expiration":"2099-01-01T00:00:00Z"}`))
	}))
	t.Cleanup(agent.Close)
	missing := filepath.Join(t.TempDir(), "none")
	web := func(file string) config.Credentials {
		return config.Credentials{WebIdentity: &config.WebIdentity{RoleARN: role, TokenFile: file}}
	}
	pod := config.Credentials{WorkloadIdentity: &config.WorkloadIdentity{}}
	profile := func(file, name string) config.Credentials {
		return config.Credentials{Profile: &config.ProfileCredentials{File: file, Profile: name}}
	}
	jwt := write(t, "token", "a-jwt")
	shared := write(t, "config", keys("profile ops", "AKIDPROFILE", secret, "")+"[profile empty]\nregion = eu-west-1\n")
	inKeys := write(t, "credentials", keys("ops", "AKIDPROFILE", secret, ""))
	for name, test := range map[string]struct {
		agent       string
		credentials []config.Credentials
		want        string
		err         string
	}{
		"static":                         {"", []config.Credentials{static(file), web(jwt)}, "user/static", ""},
		"no file, so web identity":       {"", []config.Credentials{static(missing), web(jwt), static(file)}, "assumed-role/kubefed/kubefed", ""},
		"no token, so pod identity":      {agent.URL, []config.Credentials{web(missing), pod, static(file)}, "role/pod", ""},
		"no agent, so profile":           {"", []config.Credentials{pod, profile(shared, "ops")}, "user/profile", ""},
		"profile of a credentials file":  {"", []config.Credentials{profile(inKeys, "ops")}, "user/profile", ""},
		"no profile, so static":          {"", []config.Credentials{profile(shared, "dev"), static(file)}, "user/static", ""},
		"nothing listed":                 {"", nil, "", "none are listed"},
		"nothing there":                  {"", []config.Credentials{static(missing), pod, profile(missing, "")}, "", "no file " + missing + "; AWS_CONTAINER_CREDENTIALS_FULL_URI is not set (EKS Pod Identity); no profile default"},
		"a profile without any":          {"", []config.Credentials{profile(shared, "empty"), static(file)}, "", "profile empty: it has no keys"},
		"an agent far away":              {"http://192.0.2.1/", []config.Credentials{pod, static(file)}, "", "192.0.2.1 is neither this host nor an agent of EKS"},
		"there but refused, so no other": {"", []config.Credentials{web(write(t, "token", "wrong")), static(file)}, "", "InvalidIdentityToken"},
		"there but empty, so no other":   {"", []config.Credentials{static(write(t, "keys", "")), web(jwt)}, "", "no aws_access_key_id"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", test.agent)
			t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "hostile")
			t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", write(t, "token", "agent-token\n"))
			got, err := "", error(nil)
			s, err := aws.Open(t.Context(), account(url, test.credentials...), aws.Patience(time.Minute, time.Millisecond))
			if err == nil {
				got, err = who(t.Context(), s, "eu-west-1")
			}
			if test.err == "" && (err != nil || !strings.HasSuffix(got, ":"+test.want)) {
				t.Errorf("asked as %q, %v", got, err)
			}
			if test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err) || cloud.KindOf(err) != cloud.Denied ||
				!strings.HasPrefix(err.Error(), "credentials of account prod: Denied: ")) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestAnonymousIsForSimulationsOnly(t *testing.T) {
	_, url, _ := simulate(t)
	a := account(url, config.Credentials{Anonymous: &struct{}{}})
	s, err := aws.Open(t.Context(), a)
	if err != nil || s.Ready(t.Context()) != nil {
		t.Fatal(err)
	}
	if _, err := who(t.Context(), s, "eu-west-1"); cloud.KindOf(err) != cloud.Denied || !strings.Contains(err.Error(), "MissingAuthenticationToken") {
		t.Error(err)
	}
	a.Endpoints = nil
	if _, err := aws.Open(t.Context(), a); cloud.KindOf(err) != cloud.Denied {
		t.Error(err)
	}
}

func TestReplacedKeysAreRead(t *testing.T) {
	c, url, file := simulate(t)
	s, err := aws.Open(t.Context(), account(url, static(file)))
	if err != nil {
		t.Fatal(err)
	}
	c.SetKey(awstest.Key{ID: "AKIDNEXT", Secret: secret, ARN: "arn:aws:iam::123456789012:user/next"})
	if err := os.WriteFile(file, []byte(keys("default", "AKIDNEXT", secret, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := who(t.Context(), s, "eu-west-1"); err != nil || !strings.HasSuffix(got, "user/next") {
		t.Errorf("%s, %v", got, err)
	}
	if held, err := s.Credentials(t.Context()); err != nil || held.CanExpire {
		t.Errorf("keys expire %v", err)
	}
}

func TestErrorsMeanTheSameFromAllAPIs(t *testing.T) {
	c, url, file := simulate(t)
	s, err := aws.Open(t.Context(), account(url, static(file)), aws.Patience(time.Minute, time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[awstest.FaultKind]string{
		awstest.Deny: "sts:GetCallerIdentity in eu-west-1: Denied: AccessDenied: User: arn:aws:iam::123456789012:user/static is not authorized to perform: " +
			"sts:GetCallerIdentity because no identity-based policy allows the sts:GetCallerIdentity action; allow sts:GetCallerIdentity, see `kubefed cloud permissions aws`",
		awstest.Throttle: "sts:GetCallerIdentity in eu-west-1: Throttled: Throttling: Rate exceeded; lower requestsPerSecond of the account if this lasts",
		awstest.Down:     "sts:GetCallerIdentity in eu-west-1: Unavailable: ServiceUnavailable: Service Unavailable",
		awstest.Reset:    "sts:GetCallerIdentity in eu-west-1: Unavailable: " + url + "/: EOF",
	} {
		c.Break(awstest.Fault{Kind: kind})
		if _, err := who(t.Context(), s, "eu-west-1"); err == nil || err.Error() != want {
			t.Errorf("%s is\n%v, want\n%s", kind, err, want)
		}
		c.Heal()
	}
	c.Break(awstest.Fault{Kind: awstest.Garble})
	if _, err := who(t.Context(), s, "eu-west-1"); cloud.KindOf(err) != cloud.Unavailable {
		t.Error(err)
	}
	c.Heal()
	c.Break(awstest.Fault{Kind: awstest.Throttle, Times: 2})
	if _, err := who(t.Context(), s, "eu-west-1"); err != nil {
		t.Errorf("not tried a third time: %v", err)
	}
	c.SetClock(func() time.Time { return time.Now().Add(time.Hour) })
	if _, err := who(t.Context(), s, "us-east-1"); cloud.KindOf(err) != cloud.Denied || !aws.IsIdentity(err) || !strings.Contains(err.Error(), "the clock") {
		t.Error(err)
	}
}

func TestSlowAPIIsGivenUp(t *testing.T) {
	c, url, file := simulate(t)
	c.Break(awstest.Fault{Kind: awstest.Hang})
	s, err := aws.Open(t.Context(), account(url, static(file)), aws.Patience(200*time.Millisecond, time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := who(t.Context(), s, "eu-west-1"); cloud.KindOf(err) != cloud.Unavailable || !strings.Contains(err.Error(), "waiting for an answer: context deadline exceeded") {
		t.Error(err)
	}
}

// TestErrorsStayWhatTheyAre also when the SDK has no tries left for them.
func TestErrorsStayWhatTheyAre(t *testing.T) {
	c, url, file := simulate(t)
	s, err := aws.Open(t.Context(), account(url, static(file)), aws.Patience(time.Minute, 0))
	if err != nil {
		t.Fatal(err)
	}
	client := sts.NewFromConfig(s.Config(config.FamilySTS, "eu-west-1"))
	c.Break(awstest.Fault{Kind: awstest.Throttle})
	for i := range 100 {
		_, err := aws.Ask(t.Context(), s, aws.Call{Family: config.FamilySTS, Operation: "GetCallerIdentity"}, func(ctx context.Context) (*sts.GetCallerIdentityOutput, error) {
			return client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		})
		if cloud.KindOf(err) != cloud.Throttled {
			t.Fatalf("call %d: %v", i, err)
		}
	}
	if n := c.Calls("sts:GetCallerIdentity"); n >= 300 {
		t.Errorf("%d requests: tries do not run out", n)
	}
}

func TestSlowCredentialsAreGivenUp(t *testing.T) {
	c, url, _ := simulate(t)
	c.SetRole(role, "a-jwt")
	c.Break(awstest.Fault{Kind: awstest.Hang, Operation: "AssumeRoleWithWebIdentity"})
	t.Cleanup(c.Heal) // The SDK waits on for what others might want.
	a := account(url, config.Credentials{WebIdentity: &config.WebIdentity{RoleARN: role, TokenFile: write(t, "token", "a-jwt")}})
	s, err := aws.Open(t.Context(), a, aws.Patience(200*time.Millisecond, time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	for _, ask := range []func() error{
		func() error { _, err := who(t.Context(), s, "eu-west-1"); return err },
		func() error { return s.Ready(t.Context()) },
	} {
		if err := ask(); cloud.KindOf(err) != cloud.Unavailable || !strings.Contains(err.Error(), "waiting for an answer") {
			t.Error(err)
		}
	}
}

func TestRateIsLimitedForEachRegion(t *testing.T) {
	c, url, file := simulate(t)
	a := account(url, static(file))
	a.RequestsPerSecond = 0.001
	s, err := aws.Open(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	for _, region := range []string{"eu-west-1", "us-east-1"} {
		if _, err := who(t.Context(), s, region); err != nil {
			t.Error(err)
		}
		if _, err := who(t.Context(), s, region); cloud.KindOf(err) != cloud.Throttled || !strings.Contains(err.Error(), "raise requestsPerSecond") {
			t.Error(err)
		}
	}
	if n := c.Calls("sts:GetCallerIdentity"); n != 2 {
		t.Errorf("%d requests", n)
	}
}

// TestErrorsHoldNoSecret: AWS quotes what was signed, and parsers what they read.
func TestErrorsHoldNoSecret(t *testing.T) {
	c, url, _ := simulate(t)
	const token = "session/not+to+be+seen=="
	c.SetKey(awstest.Key{ID: "ASIA", Secret: secret, Token: token})
	for name, text := range map[string]string{
		"wrong secret": keys("default", "ASIA", secret+"-wrong", token),
		"unknown key":  keys("default", "ASIB", secret, token),
		"no sections":  secret + "\n" + token + "\n",
		"half a key":   "[default]\naws_secret_access_key = " + secret + "\n",
		"no assigment": "[default]\naws_access_key_id AKID\naws_secret_access_key " + secret + "\n",
	} {
		for _, kind := range []awstest.FaultKind{"", awstest.Reset, awstest.Garble} {
			c.Heal()
			if kind != "" {
				c.Break(awstest.Fault{Kind: kind})
			}
			s, err := aws.Open(t.Context(), account(url, static(write(t, "keys", text))), aws.Patience(time.Minute, time.Millisecond))
			if err == nil {
				_, err = who(t.Context(), s, "eu-west-1")
			}
			if err == nil || strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), token) {
				t.Errorf("%s, %s: %v", name, kind, err)
			}
		}
	}
}
