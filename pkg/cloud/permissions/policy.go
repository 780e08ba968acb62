package permissions

import (
	"slices"
	"strings"
)

// Policy is a policy document of AWS IAM.
type Policy struct {
	Version   string
	Statement []Statement
}

// Statement of a Policy. Sid names the features that need it.
type Statement struct {
	Sid      string
	Effect   string
	Action   []string
	Resource string
}

// PolicyOf allows permissions, with one statement for those that the same features need at the same resource.
func PolicyOf(permissions []Permission) Policy {
	policy := Policy{Version: "2012-10-17"}
	for _, p := range permissions {
		i := slices.IndexFunc(policy.Statement, func(s Statement) bool {
			return s.Resource == p.Resource && strings.TrimRight(s.Sid, "0123456789") == sid(p.Features)
		})
		if i < 0 {
			policy.Statement = append(policy.Statement, Statement{Sid: unused(policy, sid(p.Features)), Effect: "Allow", Resource: p.Resource})
			i = len(policy.Statement) - 1
		}
		policy.Statement[i].Action = append(policy.Statement[i].Action, p.Name)
	}
	return policy
}

// sid has letters and digits alone, as AWS wants it.
func sid(features []string) string {
	var b strings.Builder
	for _, f := range features {
		for word := range strings.SplitSeq(f, "-") {
			b.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return b.String()
}

// unused is a Sid with a number where it is taken.
func unused(p Policy, sid string) string {
	name := sid
	for n := 2; slices.ContainsFunc(p.Statement, func(s Statement) bool { return s.Sid == name }); n++ {
		name = sid + string(rune('0'+n))
	}
	return name
}

// Role is a custom role of Google Cloud, as `gcloud iam roles create --file` reads it.
type Role struct {
	Title               string   `json:"title"`
	Description         string   `json:"description"`
	Stage               string   `json:"stage"`
	IncludedPermissions []string `json:"includedPermissions"`
}

// RoleOf has permissions.
func RoleOf(permissions []Permission) Role {
	role := Role{Title: "kubefed", Description: "What a federation asks of Google Cloud", Stage: "GA"}
	for _, p := range permissions {
		role.IncludedPermissions = append(role.IncludedPermissions, p.Name)
	}
	return role
}
