package aws_test

import (
	"strings"
	"testing"
	"time"

	"kubefed.dev/kubefed/pkg/cloud"
	"kubefed.dev/kubefed/pkg/cloud/aws"
	"kubefed.dev/kubefed/pkg/cloud/config"
)

// TestProfiles: what the tools understand, and nothing of the environment where a profile says nothing.
func TestProfiles(t *testing.T) {
	c, url, _ := simulate(t)
	c.SetRole(role, "a-jwt")
	c.SetRole(role+"-ops", "")
	jwt := write(t, "token", "a-jwt")
	file := write(t, "config", keys("default", "AKIDSTATIC", secret, "")+`
[profile role]
role_arn = `+role+`-ops
source_profile = default
role_session_name = frodo
external_id = 42
[profile token]
role_arn = `+role+`
web_identity_token_file = `+jwt+`
[profile program]
credential_process = echo {\"Version\":1,\"AccessKeyId\":\"AKIDSTATIC\",\"SecretAccessKey\":\"`+secret+`\"}
[profile no-program]
credential_process = exit 7
[profile other]
role_arn = `+role+`-none
source_profile = default
[profile device]
role_arn = `+role+`-ops
source_profile = default
mfa_serial = arn:aws:iam::123456789012:mfa/frodo
[profile machine]
role_arn = `+role+`-ops
credential_source = Ec2InstanceMetadata
[profile environment]
role_arn = `+role+`-ops
credential_source = Environment
[profile loop]
role_arn = `+role+`-ops
source_profile = loops
[profile loops]
role_arn = `+role+`-ops
source_profile = loop
`)
	for name, want := range map[string]struct{ who, err string }{
		"default":     {who: "user/static"},
		"role":        {who: "assumed-role/kubefed-ops/frodo"},
		"token":       {who: "assumed-role/kubefed/kubefed"},
		"program":     {who: "user/static"},
		"no-program":  {err: "exit status 7"},
		"other":       {err: "AccessDenied: User: arn:aws:iam::123456789012:user/static is not authorized to perform: sts:AssumeRole"},
		"device":      {err: "asks for a device's code"},
		"machine":     {err: "profile machine"},
		"environment": {err: "profile environment"},
		"loop":        {err: "profile loop"},
	} {
		t.Run(name, func(t *testing.T) {
			a := account(url, config.Credentials{Profile: &config.ProfileCredentials{File: file, Profile: name}})
			got, err := "", error(nil)
			s, err := aws.Open(t.Context(), a, aws.Patience(time.Minute, time.Millisecond))
			if err == nil {
				got, err = who(t.Context(), s, "eu-west-1")
			}
			switch {
			case want.err == "" && (err != nil || !strings.HasSuffix(got, ":"+want.who)):
				t.Errorf("asked as %q, %v", got, err)
			case want.err != "" && (cloud.KindOf(err) != cloud.Denied || !strings.Contains(err.Error(), want.err) || strings.Contains(err.Error(), secret)):
				t.Errorf("asked as %q, error %v", got, err)
			}
		})
	}
}
