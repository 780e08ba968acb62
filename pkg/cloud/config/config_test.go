package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const example = `
accounts:
- name: prod
  provider: aws
  regions: [us-east-1, eu-west-1]
  clusters: [gondor]
  credentials:
  - webIdentity: {roleARN: "arn:aws:iam::123456789012:role/kubefed", tokenFile: /var/run/secrets/aws/token}
  - static: {file: aws-keys}
  endpoints: {"*": "https://aws.example.com", sts: "http://127.0.0.1:4566"}
- name: earth
  provider: gcp
  project: earth-1
  credentials: [{workloadIdentity: {}}, {profile: {file: /home/frodo/adc.json}}]
  requestsPerSecond: 2
sites:
- name: basement
  provider: on-premises
  region: lab
  zones: [{name: rack-1}, {name: rack-2, state: Impaired, message: "cooling until Friday"}]
  price: {currency: EUR, cpuHour: "0.011", gibHour: "0.0014", egressGiB: "0"}
`

// aws is an account with other fields.
func aws(fields string) string {
	return "accounts: [{name: a, provider: aws, credentials: [{workloadIdentity: {}}], " + fields + "}]"
}

// as is an account with other credentials.
func as(provider, credentials string) string {
	return "accounts: [{name: a, provider: " + provider + ", project: " + map[string]string{AWS: `""`, GCP: "earth-1"}[provider] + ", credentials: [" + credentials + "]}]"
}

func site(fields string) string {
	return "sites: [{name: s, provider: on-premises, " + fields + "}]"
}

func TestParse(t *testing.T) {
	const key = "wJalrXUtnFEMI"
	for _, test := range []struct {
		name, file string
		// want are parts of the error, in any order; none for no error.
		want []string
	}{
		{"nothing", "{}", nil},
		{"the example", example, nil},
		{"an unknown field", aws("accessKey: " + key), []string{`unknown field "accounts[0].accessKey"`}},
		{"a field twice", "accounts: []\naccounts: []", []string{"accounts"}},
		{"a number for a price", site(`price: {currency: EUR, cpuHour: 0.011, gibHour: "1"}`), []string{"sites.price.cpuHour: is a number", "in quotes"}},
		{"text for credentials", as(AWS, "static: {file: {a: b}}"), []string{"accounts.credentials.static.file: is a object"}},
		{"names", "accounts: [{name: A_b, provider: aws, credentials: [{profile: {}}]}, {name: x, provider: aws, credentials: [{profile: {}}]}]\nsites: [{name: x, provider: p}]",
			[]string{`accounts[0].name "A_b"`, "sites[0].name: x is there twice"}},
		{"a provider that has no API here", "accounts: [{name: a, provider: azure}]", []string{`accounts[0].provider "azure": use aws or gcp`, "sites"}},
		{"a project of AWS", aws("project: earth-1"), []string{"accounts[0].project: AWS has none"}},
		{"no project", "accounts: [{name: a, provider: gcp, credentials: [{workloadIdentity: {}}]}]", []string{`accounts[0].project "": give the project's ID`}},
		{"a project's number", "accounts: [{name: a, provider: gcp, project: \"123\", credentials: [{workloadIdentity: {}}]}]", []string{`accounts[0].project "123"`}},
		{"regions", aws("regions: [US, eu-west-1, eu-west-1]"), []string{`accounts[0].regions[0] "US"`, "accounts[0].regions[2]: eu-west-1 is there twice"}},
		{"clusters", aws("clusters: [Gondor, rohan, rohan]"), []string{`accounts[0].clusters[0] "Gondor"`, `accounts[0].clusters[2] "rohan": account a names it already`}},
		{"no credentials", "accounts: [{name: a, provider: aws}]", []string{"accounts[0].credentials: say as whom", "webIdentity"}},
		{"two kinds at once", as(AWS, "{profile: {}, static: {file: f}}"), []string{"accounts[0].credentials[0]: has 2 kinds (profile, static)"}},
		{"no kind", as(AWS, "{}"), []string{"accounts[0].credentials[0]: has 0 kinds"}},
		{"no file", as(GCP, "{static: {}}"), []string{"accounts[0].credentials[0].static.file: name the file"}},
		{"a key in place of its file", as(GCP, `{static: {file: "{\"private_key\": \"`+key+`\"}"}}`), []string{"accounts[0].credentials[0].static.file: give the path"}},
		{"AWS' web identity for Google", as(GCP, "{webIdentity: {roleARN: r, tokenFile: /t}}"), []string{"accounts[0].credentials[0].webIdentity: is for AWS"}},
		{"a role and a token", as(AWS, "{webIdentity: {roleARN: kubefed, tokenFile: token}}"), []string{`webIdentity.roleARN "kubefed"`, "webIdentity.tokenFile: give the absolute path"}},
		{"a profile of Google", as(GCP, "{profile: {profile: earth}}"), []string{"accounts[0].credentials[0].profile.profile: gcloud's"}},
		{"nobody, at the real cloud", as(AWS, "{anonymous: {}}"), []string{"accounts[0].credentials[0].anonymous: is for simulated clouds"}},
		{"a rate", aws("requestsPerSecond: -1"), []string{"accounts[0].requestsPerSecond -1"}},
		{"endpoints", aws(`endpoints: {container: "https://x.example", eks: "http://10.0.0.1", sts: "https://frodo:` + key + `@x.example", ec2: here}`),
			[]string{"accounts[0].endpoints.container: aws has no such API", `accounts[0].endpoints.eks "http://10.0.0.1": use https`, "accounts[0].endpoints.sts: give a URL without user", "accounts[0].endpoints.ec2: give a URL"}},
		{"a site without provider", "sites: [{name: s, region: Lab}]", []string{`sites[0].provider ""`, `sites[0].region "Lab"`}},
		{"two sites in one place", "sites: [{name: s, provider: p, region: lab}, {name: t, provider: p, region: lab}]", []string{"sites[1]: site s has this provider and region"}},
		{"zones", site("zones: [{name: a}, {name: a, state: DOWN}]"), []string{`sites[0].zones[1].name "a"`, `sites[0].zones[1].state "DOWN": use one of Available, Impaired`}},
		{"prices", site(`price: {currency: euro, cpuHour: "-1", gibHour: "1e3", egressGiB: ".NaN"}`), []string{`sites[0].price.currency "euro"`, `price.cpuHour "-1"`, "gibHour"}},
		{"no prices", site(`price: {currency: EUR, egressGiB: ".1"}`), []string{`price.cpuHour ""`, `price.gibHour ""`, `price.egressGiB ".1"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Parse([]byte(test.file))
			if len(test.want) == 0 {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), key) {
				t.Errorf("error %q holds a secret", err)
			}
		})
	}
}

// Paths are from where the file is, but for those at which somebody else mounts a token.
func TestLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "clouds.yaml")
	if err := os.WriteFile(path, []byte(example), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, file := range c.Files() {
		files = append(files, *file)
	}
	if diff := cmp.Diff([]string{filepath.Join(dir, "aws-keys"), "/home/frodo/adc.json"}, files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	prod, _ := c.Account("prod")
	earth, _ := c.Account("earth")
	if prod.Credentials[0].WebIdentity.TokenFile != "/var/run/secrets/aws/token" || prod.RequestsPerSecond != 5 || earth.RequestsPerSecond != 2 {
		t.Errorf("%+v\n%+v", prod, earth)
	}
	if _, found := c.Account("mars"); found {
		t.Error("an account that is not there")
	}
	if _, err := Load(path + "x"); err == nil || !strings.Contains(err.Error(), "reading the cloud configuration") {
		t.Errorf("no file: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(example)
	f.Add(aws("endpoints: {\"*\": x}"))
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := Parse([]byte(text)); err == nil && c == nil {
			t.Error("neither a configuration nor an error")
		}
	})
}
