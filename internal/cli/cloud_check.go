package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"kubefed.dev/kubefed/pkg/cloud"
	"kubefed.dev/kubefed/pkg/cloud/config"
)

const cloudCheckLong = `Try each account: as whom the cloud sees it, which regions answer, and what is denied. The exit code is 1 if something fails.

It asks from here, as you may: what the control plane itself may ask is told by the condition CloudKnown of each Cluster.`

type cloudCheckFlags struct {
	accountFlags
	output string
}

// checkedAccount is what `kubefed cloud check` finds of an account.
type checkedAccount struct {
	Account  string `json:"account"`
	Provider string `json:"provider"`
	Project  string `json:"project,omitempty"`
	// Identity is as whom the cloud sees it.
	Identity string          `json:"identity,omitempty"`
	Regions  []checkedRegion `json:"regions,omitempty"`
	Errors   []checkedError  `json:"errors,omitempty"`
}

// checkedRegion is one, or all of them together where the account names none.
type checkedRegion struct {
	Region   string         `json:"region"`
	Clusters int            `json:"clusters"`
	Errors   []checkedError `json:"errors,omitempty"`
}

type checkedError struct {
	Kind    cloud.ErrorKind `json:"kind"`
	Message string          `json:"message"`
}

func newCloudCheck(s Streams, known clouds) *cobra.Command {
	var f cloudCheckFlags
	cmd := &cobra.Command{
		Use:               "check",
		Short:             "Try accounts of clouds",
		Long:              cloudCheckLong,
		Example:           "  kubefed cloud check --cloud-config=clouds.yaml\n  kubefed cloud check --profile=prod -o json",
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return runCloudCheck(cmd.Context(), s, known, f) },
	}
	f.addFlags(cmd)
	f.addProject(cmd)
	cmd.Flags().StringVarP(&f.output, "output", "o", "", "output format: json or yaml")
	completeFlag(cmd, "output", cobra.FixedCompletions([]string{"json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func runCloudCheck(ctx context.Context, s Streams, known clouds, f cloudCheckFlags) error {
	if err := checkOutput(f.output); err != nil {
		return err
	}
	provider := ""
	switch {
	case f.config != "":
	case f.profile != "" && f.project == "":
		provider = config.AWS
	case f.project != "" && f.profile == "":
		provider = config.GCP
	default:
		return &ExitError{ExitUsage, errors.New("name a file of accounts by --cloud-config, a profile of AWS by --profile, or a project of Google Cloud by --project")}
	}
	accounts, err := f.accounts(provider, "")
	if err != nil {
		return err
	}
	if len(accounts) == 0 {
		noteTo(s)("%s lists sites alone: there is no cloud to ask.", f.config)
	}
	checked := make([]checkedAccount, 0, len(accounts))
	for _, account := range accounts {
		progressTo(s)("asking %s as account %s", account.Provider, account.Name)
		checked = append(checked, checkAccount(ctx, known, f.accountFlags, account))
	}
	if f.output != "" {
		err = printAs(s, f.output, map[string]any{"accounts": checked})
	} else {
		printChecked(s, checked)
	}
	var bad []string
	for _, c := range checked {
		if c.failed() {
			bad = append(bad, c.Account)
		}
	}
	if err == nil && len(bad) > 0 {
		err = fmt.Errorf("not everything answers to account %s; kubefed cloud permissions prints what it has to be allowed", strings.Join(bad, ", "))
	}
	return err
}

func (c checkedAccount) failed() bool {
	for _, r := range c.Regions {
		if len(r.Errors) > 0 {
			return true
		}
	}
	return len(c.Errors) > 0
}

func checkAccount(ctx context.Context, known clouds, f accountFlags, account config.Account) checkedAccount {
	c := checkedAccount{Account: account.Name, Provider: account.Provider, Project: account.Project}
	finder, err := known.openAs(ctx, f, account)
	if err != nil {
		c.Errors = checkedErrors(err)
		return c
	}
	if who, ok := finder.(cloud.Identifier); ok {
		c.Identity, err = who.Identity(ctx)
		c.Errors = checkedErrors(err)
	}
	if len(account.Regions) == 0 {
		found, err := finder.Clusters(ctx, nil)
		c.Regions = []checkedRegion{{Region: "*", Clusters: len(found), Errors: checkedErrors(err)}}
	}
	for _, region := range account.Regions {
		found, err := finder.Clusters(ctx, []string{region})
		c.Regions = append(c.Regions, checkedRegion{Region: region, Clusters: len(found), Errors: checkedErrors(err)})
	}
	return c
}

func checkedErrors(err error) (all []checkedError) {
	for _, e := range each(err) {
		all = append(all, checkedError{Kind: cloud.KindOf(e), Message: e.Error()})
	}
	return all
}

func printChecked(s Streams, checked []checkedAccount) {
	if len(checked) == 0 {
		return
	}
	aligned(s.Out, "", []string{"ACCOUNT", "PROVIDER", "AS", "REGION", "CLUSTERS", "STATE"})(func(row func(...string)) {
		for _, c := range checked {
			if len(c.Regions) == 0 {
				row(c.Account, c.Provider, dash(c.Identity), "-", "-", state(c.Errors))
			}
			for _, r := range c.Regions {
				row(c.Account, c.Provider, dash(c.Identity), r.Region, strconv.Itoa(r.Clusters), state(r.Errors))
			}
		}
	})
	note := noteTo(s)
	for _, c := range checked {
		for _, e := range c.Errors {
			note("%s: %s", c.Account, e.Message)
		}
		for _, r := range c.Regions {
			for _, e := range r.Errors {
				note("%s: %s", c.Account, e.Message)
			}
		}
	}
}

// state is OK, or the kind of the first error.
func state(errs []checkedError) string {
	if len(errs) == 0 {
		return "OK"
	}
	return string(errs[0].Kind)
}
