// Package aws is an account of AWS as its clients see it: as whom they ask, where, how often, for how long, and what errors mean.
// All of that is decided here once; pkg/cloud/aws/eks and pkg/cloud/aws/facts make the calls. Nothing is taken from the environment
// but what the account names, and the proxy that Go's HTTP client honours.
package aws
