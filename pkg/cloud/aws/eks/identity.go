package eks

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/sts"

	"kubefed.dev/kubefed/pkg/cloud"
	"kubefed.dev/kubefed/pkg/cloud/aws"
	"kubefed.dev/kubefed/pkg/cloud/config"
)

var _ cloud.Identifier = (*Finder)(nil)

// Identity implements cloud.Identifier. AWS tells everybody who they are: it needs no permission.
func (f *Finder) Identity(ctx context.Context) (string, error) {
	call := aws.Call{Family: config.FamilySTS, Operation: "GetCallerIdentity", Region: f.session.HomeRegion()}
	return aws.Ask(ctx, f.session, call, func(ctx context.Context) (string, error) {
		answer, err := sts.NewFromConfig(f.session.Config(config.FamilySTS, call.Region)).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		if err != nil {
			return "", err
		}
		return value(answer.Arn), nil
	})
}
