package gcp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"kubefed.dev/kubefed/pkg/cloud"
	"kubefed.dev/kubefed/pkg/cloud/config"
)

// choose is the first of the account's credentials that is there; nil is anonymous. One that is there and can't be used is an error.
func (s *Session) choose(ctx context.Context, credentials []config.Credentials, scopes []string) (source, error) {
	var missing []string
	for _, c := range credentials {
		var chosen source
		var err error
		switch {
		case c.Static != nil:
			chosen, err = newFile(c.Static.File, false, scopes)
		case c.WorkloadIdentity != nil:
			chosen, err = newMetadata(ctx, scopes)
		case c.Profile != nil && c.Profile.Profile != "":
			return nil, s.invalid(errors.New("gcloud has one file of application default credentials, without profiles; give profile.file"))
		case c.Profile != nil:
			chosen, err = newFile(profileFile(c.Profile.File), true, scopes)
		case c.WebIdentity != nil:
			return nil, s.invalid(errors.New("webIdentity is for AWS; give static with the file of an external account"))
		case c.Anonymous != nil:
			return nil, nil
		}
		absent, isAbsent := errors.AsType[*absent](err)
		switch {
		case isAbsent:
			missing = append(missing, absent.why)
		case err != nil:
			return nil, &cloud.Error{Kind: cloud.Denied, Operation: "credentials of account " + s.account.Name, Err: err,
				Advice: "replace them; the next in the account's list are used only where these are not there"}
		case chosen != nil:
			return chosen, nil
		}
	}
	return nil, &cloud.Error{Kind: cloud.Denied, Operation: "credentials of account " + s.account.Name,
		Err:    fmt.Errorf("none of %d is there: %s", len(credentials), strings.Join(missing, "; ")),
		Advice: "provide one of them, or name others in the account's credentials"}
}

// absent is the error of credentials that are not there.
type absent struct{ why string }

func (a *absent) Error() string { return a.why }

// profileFile is where gcloud keeps the application default credentials.
func profileFile(given string) string {
	if given != "" {
		return given
	}
	if dir := os.Getenv("CLOUDSDK_CONFIG"); dir != "" {
		return filepath.Join(dir, "application_default_credentials.json")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		home = "/"
	}
	return filepath.Join(home, ".config", "gcloud", "application_default_credentials.json")
}

// readFile reads a file of credentials; the error is *absent if there is none.
func readFile(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &absent{"no file " + path}
	}
	if err != nil {
		return nil, err
	}
	return data, nil
}
