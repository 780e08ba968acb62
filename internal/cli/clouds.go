package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kubefed.dev/kubefed/pkg/cloud"
	"kubefed.dev/kubefed/pkg/cloud/config"
)

// Cloud is one that can be asked for clusters. The program brings those whose SDKs it links.
type Cloud struct {
	// Provider is config.AWS or config.GCP.
	Provider string
	Open     func(context.Context, config.Account) (cloud.Finder, error)
}

// clouds are what the program brought.
type clouds []Cloud

func (c clouds) open(ctx context.Context, account config.Account) (cloud.Finder, error) {
	i := slices.IndexFunc(c, func(known Cloud) bool { return known.Provider == account.Provider })
	if i < 0 {
		return nil, fmt.Errorf("this program can't ask %s; use the kubefed of a release", account.Provider)
	}
	return c[i].Open(ctx, account)
}

// openAs is open with an error that says what to do where nobody wrote a file of accounts.
func (c clouds) openAs(ctx context.Context, f accountFlags, account config.Account) (cloud.Finder, error) {
	finder, err := c.open(ctx, account)
	if err == nil || f.config != "" || cloud.KindOf(err) != cloud.Denied {
		return finder, err
	}
	login := "gcloud auth application-default login"
	if account.Provider == config.AWS {
		login = "aws configure --profile " + account.Name
	}
	return nil, fmt.Errorf("%w\nLog in with `%s`, or name a file of accounts by --cloud-config", err, login)
}

// cloudProviders are those that can be asked.
var cloudProviders = []string{config.AWS, config.GCP}

func providerOf(service string) string {
	if service == cloud.GKE {
		return config.GCP
	}
	return config.AWS
}

// accountFlags say as whom a cloud is asked: an account of a file, or a profile that is on this machine.
type accountFlags struct {
	config, account  string
	profile, project string
}

func (f *accountFlags) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.config, "cloud-config", "", "file of accounts (docs/clouds.md); without it a cloud is asked as you, with AWS' profile or gcloud's application default credentials")
	flags.StringVar(&f.account, "account", "", "name of the account in --cloud-config (default: all that fit)")
	flags.StringVar(&f.profile, "profile", "", "AWS, without --cloud-config: profile of the AWS CLI's configuration (default: default; AWS_PROFILE is not read)")
	completeFlag(cmd, "account", completeAccounts)
}

// addProject is for commands that do not know the project from somewhere else.
func (f *accountFlags) addProject(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.project, "project", "", "Google Cloud, without --cloud-config: ID of the project")
}

// accounts are those that the flags mean, of one provider, or of all for "". project is the one that is meant, if that is known.
// What the flags say and what the file says are never mixed.
func (f *accountFlags) accounts(provider, project string) ([]config.Account, error) {
	if f.config != "" {
		return f.fromFile(provider, project)
	}
	if project == "" {
		project = f.project
	}
	switch {
	case f.account != "":
		return nil, &ExitError{ExitUsage, fmt.Errorf("--account=%s: name the file that it is in by --cloud-config", f.account)}
	case provider == config.AWS && f.project != "":
		return nil, &ExitError{ExitUsage, errors.New("--project: is for Google Cloud; leave it out")}
	case provider == config.GCP && f.profile != "":
		return nil, &ExitError{ExitUsage, errors.New("--profile: is for AWS; leave it out, and log in with: gcloud auth application-default login")}
	case provider == config.GCP && project == "":
		return nil, &ExitError{ExitUsage, errors.New("--project is required for Google Cloud: name its ID, or a file of accounts by --cloud-config")}
	case provider == config.GCP:
		return []config.Account{{Name: project, Provider: provider, Project: project, Credentials: []config.Credentials{{Profile: &config.ProfileCredentials{}}},
			RequestsPerSecond: config.DefaultRequestsPerSecond}}, nil
	}
	profile := f.profile
	if profile == "" {
		profile = "default"
	}
	return []config.Account{{Name: profile, Provider: provider, Credentials: []config.Credentials{{Profile: &config.ProfileCredentials{Profile: profile}}},
		RequestsPerSecond: config.DefaultRequestsPerSecond}}, nil
}

func (f *accountFlags) fromFile(provider, project string) ([]config.Account, error) {
	if f.profile != "" || f.project != "" {
		return nil, &ExitError{ExitUsage, errors.New("--cloud-config says as whom clouds are asked: leave --profile and --project out, or leave it out")}
	}
	c, err := config.Load(f.config)
	if err != nil {
		return nil, &ExitError{ExitUsage, fmt.Errorf("--cloud-config: %w", err)}
	}
	var fit []config.Account
	names := []string{}
	for _, a := range c.Accounts {
		if provider != "" && a.Provider != provider {
			continue
		}
		names = append(names, a.Name)
		if f.account == "" || a.Name == f.account {
			fit = append(fit, a)
		}
	}
	switch {
	case provider == "" && f.account == "" && len(c.Accounts) == 0 && len(c.Sites) > 0:
		return nil, nil // sites need none
	case len(names) == 0:
		return nil, fmt.Errorf("--cloud-config: %s lists no account%s; add one", f.config, suffix(" of ", provider))
	case len(fit) == 0:
		return nil, fmt.Errorf("--account=%s: %s lists no such account%s; there are: %s", f.account, f.config, suffix(" of ", provider), strings.Join(names, ", "))
	}
	// Where a project has an account, others are not asked about it.
	if own := slices.DeleteFunc(slices.Clone(fit), func(a config.Account) bool { return a.Project != project }); project != "" && len(own) > 0 {
		fit = own
	}
	return fit, nil
}

func suffix(before, text string) string {
	if text == "" {
		return ""
	}
	return before + text
}

// completeAccounts offers the names of the file's accounts.
func completeAccounts(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	path, err := cmd.Flags().GetString("cloud-config")
	if err != nil || path == "" {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	c, err := config.Load(path)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, a := range c.Accounts {
		names = append(names, a.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// each are the errors that one stands for: several regions fail in their own ways.
func each(err error) []error {
	if err == nil {
		return nil
	}
	var several []error
	switch e := err.(type) { //nolint:errorlint // What wraps several is at the top.
	case interface{ Unwrap() []error }:
		several = e.Unwrap()
	case interface{ WrappedErrors() []error }:
		several = e.WrappedErrors()
	default:
		return []error{err}
	}
	var all []error
	for _, one := range several {
		all = append(all, each(one)...)
	}
	return all
}
