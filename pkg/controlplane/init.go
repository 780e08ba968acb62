package controlplane

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	corev1 "k8s.io/api/core/v1"
)

// Deadlines bound Init's waits.
type Deadlines struct {
	// Address is how long the host may take to give the API an address.
	Address time.Duration
	// Ready is how long the control plane may take to answer once it has all it needs.
	Ready time.Duration
}

// Result says what Init did.
type Result struct {
	Endpoint Endpoint
	// DNS is what is published where; DNS.Reached where the embedded server is reached, without hosts where it is not exposed.
	DNS DNS
	// DNSSilent says why the DNS server did not answer there in time; empty where it did.
	DNSSilent string
	// Fresh is true where no federation of this name had ever answered before.
	Fresh bool
	// Changes counts what was created or changed, in the host and in the kubeconfig.
	Changes int
}

// Init makes the federation's control plane run in the host and adds its context to the kubeconfig, without switching
// to it. It is idempotent: it takes up what an earlier call began, and changes nothing where all is as it should be.
// Nothing is written before all checks have passed. o is validated.
func Init(ctx context.Context, h *Host, o Options, kubeconfig clientcmd.ConfigAccess, d Deadlines, progress Progress) (Result, error) {
	existing, err := h.check(ctx, o, kubeconfig, progress)
	if err != nil {
		return Result{}, err
	}
	r := Result{Fresh: !existing.Initialized()}
	if o.DNS, err = o.DNS.keep(existing.Secrets[SecretDNS]); err != nil {
		return r, err
	}
	if o.Cloud, err = o.Cloud.keep(existing.Secrets[SecretCloud]); err != nil {
		return r, err
	}
	o.ServiceAccountAnnotations = keepAnnotations(o, existing)
	if err := h.applyAll(ctx, ExposureManifests(o), &r, progress); err != nil {
		return r, err
	}
	if r.Endpoint, err = h.endpoint(ctx, o, d.Address, progress); err != nil {
		return r, err
	}
	if err := h.exposeDNS(ctx, &o, existing, d.Address, &r, progress); err != nil {
		return r, err
	}
	have := CredentialsFrom(existing.Secrets)
	credentials, err := CompleteCredentials(have, o.Name, ServingHosts(r.Endpoint.Hosts), time.Now())
	if err != nil {
		return r, err
	}
	if err := h.applyAll(ctx, Manifests(o, credentials)[len(ExposureManifests(o)):], &r, progress); err != nil {
		return r, err
	}
	forgot, err := h.forgetClouds(ctx, o, existing, progress)
	if forgot {
		r.Changes++
	}
	if err != nil {
		return r, err
	}
	if err := h.available(ctx, o, d.Ready, progress); err != nil {
		return r, err
	}
	if r.Endpoint.PortForward == 0 {
		if err := answering(ctx, r.Endpoint, credentials, d.Ready, progress); err != nil {
			return r, err
		}
	}
	if r.DNSSilent, err = dnsAnswers(ctx, o, d.Address, progress); err != nil {
		return r, err
	}
	if r.Fresh {
		if err := h.markInitialized(ctx); err != nil {
			return r, err
		}
	}
	wrote, err := writeContext(kubeconfig, o, r.Endpoint, credentials)
	if wrote {
		r.Changes++
	}
	return r, err
}

// exposeDNS finds out where the DNS server is reached, or takes its Service away.
func (h *Host) exposeDNS(ctx context.Context, o *Options, existing Existing, timeout time.Duration, r *Result, progress Progress) error {
	hidden, err := h.hideDNS(ctx, *o, existing, progress)
	if hidden {
		r.Changes++
	}
	if err == nil && o.DNS.exposed(o.DNSZone) {
		o.DNS.Reached, err = h.dnsEndpoint(ctx, *o, timeout, progress)
	}
	r.DNS = o.DNS
	return err
}

// check is everything that can refuse, before the first write.
func (h *Host) check(ctx context.Context, o Options, kubeconfig clientcmd.ConfigAccess, progress Progress) (Existing, error) {
	progress("checking host cluster %s", h.Context)
	if err := h.preflight(ctx, o); err != nil {
		return Existing{}, err
	}
	existing, err := h.observe(ctx)
	if err != nil {
		return existing, err
	}
	resume, err := Decide(o, existing)
	if err != nil {
		return existing, err
	}
	if err := h.hasStorage(ctx, o, existing); err != nil {
		return existing, err
	}
	config, err := kubeconfig.GetStartingConfig()
	if err != nil {
		return existing, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	if err := checkContext(config, o, CredentialsFrom(existing.Secrets).CACert); err != nil {
		return existing, err
	}
	if resume {
		progress("federation %s is in host cluster %s already: completing what is missing, keeping its keys", o.Name, h.Context)
	}
	return existing, nil
}

func (h *Host) applyAll(ctx context.Context, objects []client.Object, r *Result, progress Progress) error {
	for _, obj := range objects {
		did, err := h.apply(ctx, obj)
		if err != nil {
			return err
		}
		if did != unchanged {
			r.Changes++
			progress("%s %s", describe(obj), did)
		}
	}
	return nil
}

// markInitialized notes that the API has answered. It is no part of what is applied, so that applying again keeps it.
func (h *Host) markInitialized(ctx context.Context) error {
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, AnnotationInitialized, time.Now().UTC().Format(time.RFC3339))
	ns := &corev1.Namespace{}
	ns.Name = Namespace
	if err := h.client.Patch(ctx, ns, client.RawPatch(types.MergePatchType, []byte(patch)), client.FieldOwner(FieldManager+"-done")); err != nil {
		return fmt.Errorf("annotating namespace %s of host cluster %s: %w; run kubefed init again", Namespace, h.Context, err)
	}
	return nil
}
