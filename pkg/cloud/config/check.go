package config

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"kubefed.dev/kubefed/pkg/cloud"
)

// families are the APIs of each provider.
var families = map[string][]string{
	AWS: {FamilyEKS, FamilySTS, FamilyEC2, FamilyELB, FamilyPricing},
	GCP: {FamilyContainer, FamilyCompute, FamilyBilling},
}

var (
	roleARN  = regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$`)
	project  = regexp.MustCompile(`^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$`)
	currency = regexp.MustCompile(`^[A-Z]{3}$`)
	decimal  = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?$`)
)

// expected says what to write in place of a value of another kind.
func expected(kind reflect.Kind) string {
	switch kind {
	case reflect.String:
		return "write text, numbers in quotes"
	case reflect.Float64:
		return "write a number"
	case reflect.Slice:
		return "write a list"
	}
	return "write a mapping of fields"
}

func (c *Config) check() error {
	var errs []error
	names, owner := map[string]bool{}, map[string]string{}
	for i, a := range c.Accounts {
		at := fmt.Sprintf("accounts[%d]", i)
		errs = append(errs, name(at, a.Name, names)...)
		errs = append(errs, a.check(at)...)
		for j, cluster := range a.Clusters {
			here := fmt.Sprintf("%s.clusters[%d] %q", at, j, cluster)
			if len(validation.IsDNS1123Label(cluster)) > 0 {
				errs = append(errs, fmt.Errorf("%s: give the cluster's name in the federation", here))
			} else if other, taken := owner[cluster]; taken {
				errs = append(errs, fmt.Errorf("%s: account %s names it already; a cluster is in one account", here, other))
			}
			owner[cluster] = a.Name
		}
	}
	places := map[string]string{}
	for i, s := range c.Sites {
		at := fmt.Sprintf("sites[%d]", i)
		errs = append(errs, name(at, s.Name, names)...)
		errs = append(errs, s.check(at)...)
		place := s.Provider + "/" + s.Region
		if other, taken := places[place]; taken {
			errs = append(errs, fmt.Errorf("%s: site %s has this provider and region already; put both together, or give regions", at, other))
		}
		places[place] = s.Name
	}
	return errors.Join(errs...)
}

// name checks a name that no other account or site may have.
func name(at, name string, seen map[string]bool) (errs []error) {
	if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
		errs = append(errs, fmt.Errorf("%s.name %q: %s", at, name, problems[0]))
	} else if seen[name] {
		errs = append(errs, fmt.Errorf("%s.name: %s is there twice; accounts and sites have a name each", at, name))
	}
	seen[name] = true
	return errs
}

func (a *Account) check(at string) (errs []error) {
	known, ok := families[a.Provider]
	if !ok {
		return []error{fmt.Errorf("%s.provider %q: use aws or gcp; what has no cloud to ask belongs into sites", at, a.Provider)}
	}
	switch {
	case a.Provider == AWS && a.Project != "":
		errs = append(errs, fmt.Errorf("%s.project: AWS has none, its credentials say which account it is; leave it out", at))
	case a.Provider == GCP && !project.MatchString(a.Project):
		errs = append(errs, fmt.Errorf("%s.project %q: give the project's ID, such as earth-1", at, a.Project))
	}
	errs = append(errs, regions(at, a.Regions)...)
	if len(a.Credentials) == 0 {
		errs = append(errs, fmt.Errorf("%s.credentials: say as whom the cloud is asked, such as %s", at, map[string]string{
			AWS: "[{webIdentity: {roleARN: ..., tokenFile: ...}}]", GCP: "[{workloadIdentity: {}}]"}[a.Provider]))
	}
	for i, c := range a.Credentials {
		here := fmt.Sprintf("%s.credentials[%d]", at, i)
		errs = append(errs, c.check(here, a.Provider)...)
		if c.Anonymous != nil && a.Endpoints["*"] == "" {
			errs = append(errs, fmt.Errorf("%s.anonymous: is for simulated clouds; name theirs in endpoints under \"*\", or give credentials", here))
		}
	}
	if a.RequestsPerSecond < 0 {
		errs = append(errs, fmt.Errorf("%s.requestsPerSecond %v: give a number above 0", at, a.RequestsPerSecond))
	}
	for _, family := range slices.Sorted(maps.Keys(a.Endpoints)) {
		here := at + ".endpoints." + family
		if family != "*" && !slices.Contains(known, family) {
			errs = append(errs, fmt.Errorf("%s: %s has no such API; use one of %s, or * for all", here, a.Provider, strings.Join(known, ", ")))
		}
		errs = append(errs, endpoint(here, a.Endpoints[family])...)
	}
	return errs
}

func regions(at string, regions []string) (errs []error) {
	for i, r := range regions {
		if len(validation.IsDNS1123Label(r)) > 0 {
			errs = append(errs, fmt.Errorf("%s.regions[%d] %q: give a region's name, such as us-east-1 or europe-west4", at, i, r))
		} else if slices.Contains(regions[:i], r) {
			errs = append(errs, fmt.Errorf("%s.regions[%d]: %s is there twice", at, i, r))
		}
	}
	return errs
}

func (c *Credentials) check(at, provider string) (errs []error) {
	var given []string
	for field, is := range map[string]bool{"static": c.Static != nil, "webIdentity": c.WebIdentity != nil, "workloadIdentity": c.WorkloadIdentity != nil,
		"profile": c.Profile != nil, "anonymous": c.Anonymous != nil} {
		if is {
			given = append(given, field)
		}
	}
	if len(given) != 1 {
		slices.Sort(given)
		return []error{fmt.Errorf("%s: has %d kinds (%s); give exactly one of static, webIdentity, workloadIdentity, profile; an order is a list of several",
			at, len(given), strings.Join(given, ", "))}
	}
	switch {
	case c.Static != nil:
		if c.Static.File == "" {
			return []error{fmt.Errorf("%s.static.file: name the file with the credentials", at)}
		}
		return file(at+".static.file", c.Static.File)
	case c.WebIdentity != nil:
		return c.WebIdentity.check(at+".webIdentity", provider)
	case c.Profile != nil:
		if provider == GCP && c.Profile.Profile != "" {
			errs = append(errs, fmt.Errorf("%s.profile.profile: gcloud's application default credentials have none; leave it out, or name a file", at))
		}
		return append(errs, file(at+".profile.file", c.Profile.File)...)
	}
	return nil
}

func (w *WebIdentity) check(at, provider string) (errs []error) {
	if provider != AWS {
		return []error{fmt.Errorf("%s: is for AWS; for Google Cloud give workloadIdentity, or static with an external account's file", at)}
	}
	if !roleARN.MatchString(w.RoleARN) {
		errs = append(errs, fmt.Errorf("%s.roleARN %q: give the role's ARN, such as arn:aws:iam::123456789012:role/kubefed", at, w.RoleARN))
	}
	if !path.IsAbs(w.TokenFile) && !filepath.IsAbs(w.TokenFile) {
		errs = append(errs, fmt.Errorf("%s.tokenFile: give the absolute path at which the token is mounted, such as /var/run/secrets/eks.amazonaws.com/serviceaccount/token", at))
	}
	return errs
}

// file refuses what is the content of a file rather than its path, without showing it.
func file(at, path string) []error {
	if strings.ContainsAny(path, "\n{") || strings.Contains(path, "-----BEGIN") {
		return []error{fmt.Errorf("%s: give the path of a file, not what is in it", at)}
	}
	return nil
}

// endpoint wants https, so that nobody on the way sees tokens; this machine itself may be asked without.
func endpoint(at, e string) []error {
	u, err := url.Parse(e)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return []error{fmt.Errorf("%s: give a URL such as https://eks.example.com", at)}
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return []error{fmt.Errorf("%s: give a URL without user, password and query; credentials have a field of their own", at)}
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return []error{fmt.Errorf("%s %q: use https; http is for this machine alone", at, e)}
	}
	return nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}

func (s *Site) check(at string) (errs []error) {
	if len(validation.IsDNS1123Label(s.Provider)) > 0 {
		errs = append(errs, fmt.Errorf("%s.provider %q: give the provider of the clusters that are meant, such as on-premises", at, s.Provider))
	}
	if s.Region != "" && len(validation.IsDNS1123Label(s.Region)) > 0 {
		errs = append(errs, fmt.Errorf("%s.region %q: give the region of the clusters that are meant, or leave it out for all of the provider", at, s.Region))
	}
	seen := map[string]bool{}
	for i, z := range s.Zones {
		here := fmt.Sprintf("%s.zones[%d]", at, i)
		if z.Name == "" || seen[z.Name] {
			errs = append(errs, fmt.Errorf("%s.name %q: give the zone's name, each once", here, z.Name))
		}
		seen[z.Name] = true
		states := []string{"", string(cloud.ZoneAvailable), string(cloud.ZoneImpaired), string(cloud.ZoneUnavailable), string(cloud.ZoneUnknown)}
		if !slices.Contains(states, z.State) {
			errs = append(errs, fmt.Errorf("%s.state %q: use one of %s", here, z.State, strings.Join(states[1:], ", ")))
		}
	}
	if s.Price == nil {
		return errs
	}
	if !currency.MatchString(s.Price.Currency) {
		errs = append(errs, fmt.Errorf("%s.price.currency %q: give its code of three letters, such as EUR", at, s.Price.Currency))
	}
	for _, p := range []struct {
		field, value string
		optional     bool
	}{{"cpuHour", s.Price.CPUHour, false}, {"gibHour", s.Price.GiBHour, false}, {"egressGiB", s.Price.EgressGiB, true}} {
		if !decimal.MatchString(p.value) && !(p.optional && p.value == "") {
			errs = append(errs, fmt.Errorf("%s.price.%s %q: give a decimal such as \"0.0416\"", at, p.field, p.value))
		}
	}
	return errs
}
