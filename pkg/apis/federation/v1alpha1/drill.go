package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// FailoverDrill is a rehearsed failure: what fails, how and for how long, what must not happen meanwhile, and what was measured.
// Everything that is needed to take it back is in the object.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=drill
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.mode`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Clusters",type=string,JSONPath=`.status.clusters[*].name`
// +kubebuilder:printcolumn:name="Passed",type=string,JSONPath=`.status.conditions[?(@.type=="Passed")].status`
// +kubebuilder:printcolumn:name="Schedule",type=string,JSONPath=`.spec.schedule`,priority=1
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Passed")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && size(self.metadata.name) <= 63",message="metadata.name must be a DNS label (RFC 1123)"
type FailoverDrill struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec FailoverDrillSpec `json:"spec"`
	// +optional
	Status FailoverDrillStatus `json:"status,omitzero"`
}

// FailoverDrillSpec says what is rehearsed.
//
// +kubebuilder:validation:XValidation:rule="self.targets == oldSelf.targets && self.mode == oldSelf.mode",message="targets and mode can't be changed: a drill under way has to know what to take back; make another drill"
// +kubebuilder:validation:XValidation:rule="!(self.mode in ['Kill', 'Partition']) || has(self.executor)",message="the control plane can't kill or cut off a cluster: modes Kill and Partition need an executor; in a playground run `kubefed drill run --mode=kill`, elsewhere use mode Verdict"
// +kubebuilder:validation:XValidation:rule="!has(self.executor) || self.mode in ['Kill', 'Partition'] && !has(self.schedule)",message="executor is for modes Kill and Partition without a schedule"
// +kubebuilder:validation:XValidation:rule="!has(self.guardrails) || !has(self.guardrails.minAvailability) || has(self.services) && size(self.services) > 0",message="guardrails.minAvailability needs services to measure"
type FailoverDrillSpec struct {
	// Targets fail together.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +listType=atomic
	Targets []DrillTarget `json:"targets"`
	// Mode says how: Verdict, the federation treats them as failed, and nothing in them is touched; DNS, only their endpoints leave
	// DNS; Drain, everything moves away, replacements first; Kill and Partition, the executor ends the clusters' processes, or cuts
	// them off from the control plane.
	// +kubebuilder:validation:Enum=Verdict;DNS;Drain;Kill;Partition
	Mode string `json:"mode"`
	// Duration of the failure. Default 5m.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && self.matches('[1-9]')",message="duration must be a duration greater than 0, such as 90s or 1h30m"
	Duration *metav1.Duration `json:"duration,omitempty"`
	// Schedule, five fields of cron in UTC or @weekly and the like, repeats the drill. Without one it runs once, at once.
	// +optional
	// +kubebuilder:validation:MaxLength=100
	// +kubebuilder:validation:XValidation:rule="self.matches('^(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|[0-9A-Za-z*/,?-]+( +[0-9A-Za-z*/,?-]+){4})$')",message="schedule must be five fields of cron, such as '0 10 * * 2', or @weekly"
	Schedule string `json:"schedule,omitempty"`
	// Suspend keeps the drill from beginning. One that is under way goes on.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
	// Services are asked all the time, as their users would: by name, through the federation's DNS servers.
	// +optional
	// +kubebuilder:validation:MaxItems=16
	// +listType=map
	// +listMapKey=namespace
	// +listMapKey=name
	Services []DrillService `json:"services,omitempty"`
	// Guardrails are checked all the time. The first that breaks ends the drill and takes everything back.
	// +optional
	Guardrails DrillGuardrails `json:"guardrails,omitzero"`
	// Objectives decide whether the drill passed.
	// +optional
	Objectives DrillObjectives `json:"objectives,omitzero"`
	// Executor carries out the modes Kill and Partition, from outside.
	// +optional
	// +kubebuilder:validation:Enum=Playground
	Executor string `json:"executor,omitempty"`
	// Force begins although the plan says that the loss would not be survived. It is recorded.
	// +optional
	Force bool `json:"force,omitempty"`
	// Abort ends the drill now and takes everything back. While it is set, none begins.
	// +optional
	Abort bool `json:"abort,omitempty"`
}

// DrillTarget is one thing that fails.
//
// +kubebuilder:validation:XValidation:rule="[has(self.cluster), has(self.zone), has(self.region), has(self.provider)].filter(x, x).size() == 1",message="a target is exactly one of cluster, zone, region and provider"
type DrillTarget struct {
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Cluster string `json:"cluster,omitempty"`
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Zone string `json:"zone,omitempty"`
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Region string `json:"region,omitempty"`
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Provider string `json:"provider,omitempty"`
}

// DrillService is a federated Service, or with a hostname anything that the federation's zones name, and how it is asked.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.path) || has(self.expectedStatus)) || !has(self.scheme) || self.scheme != 'TCP'",message="path and expectedStatus are for HTTP and HTTPS"
type DrillService struct {
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace"`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`
	// Hostname asked for; by default the Service's name in the federation.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Hostname string `json:"hostname,omitempty"`
	// Scheme is HTTP (default), HTTPS (certificates are not verified) or TCP.
	// +optional
	// +kubebuilder:validation:Enum=HTTP;HTTPS;TCP
	Scheme string `json:"scheme,omitempty"`
	// Port; by default the Service's first one.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port *int32 `json:"port,omitempty"`
	// Path asked for, "/" by default.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Path string `json:"path,omitempty"`
	// ExpectedStatus is an HTTP status or a range, by default 200-399.
	// +optional
	// +kubebuilder:validation:Pattern=`^[1-5][0-9][0-9](-[1-5][0-9][0-9])?$`
	ExpectedStatus string `json:"expectedStatus,omitempty"`
	// RequestsPerSecond, each on a connection of its own. Default 10.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=500
	RequestsPerSecond *int32 `json:"requestsPerSecond,omitempty"`
	// TimeoutSeconds after which a request has failed. Default 2.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=30
	TimeoutSeconds *int32 `json:"timeoutSeconds,omitempty"`
}

// DrillGuardrails bound what a drill may do. That no other cluster becomes unhealthy, and that the control plane is not cut off, is
// always among them.
type DrillGuardrails struct {
	// MinAvailability is the least percentage of requests to each Service that have to succeed within AvailabilityWindow.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	MinAvailability *int32 `json:"minAvailability,omitempty"`
	// AvailabilityWindow over which MinAvailability holds. Default 10s.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && self.matches('[1-9]')",message="availabilityWindow must be a duration greater than 0, such as 10s"
	AvailabilityWindow *metav1.Duration `json:"availabilityWindow,omitempty"`
	// Workloads that keep a number of ready replicas in the clusters that have not failed.
	// +optional
	// +kubebuilder:validation:MaxItems=16
	// +listType=atomic
	Workloads []DrillWorkload `json:"workloads,omitempty"`
	// MaxMoved is how many replicas may leave the failed clusters.
	// +optional
	// +kubebuilder:validation:Minimum=0
	MaxMoved *int32 `json:"maxMoved,omitempty"`
	// MaxDuration from the first injection on, whatever it waits for.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && self.matches('[1-9]')",message="maxDuration must be a duration greater than 0, such as 10m"
	MaxDuration *metav1.Duration `json:"maxDuration,omitempty"`
	// IgnoreOtherClusters lets the drill begin and go on while clusters that are not its targets are unhealthy.
	// +optional
	IgnoreOtherClusters bool `json:"ignoreOtherClusters,omitempty"`
}

// DrillWorkload is a workload and its least number of ready replicas.
type DrillWorkload struct {
	// APIVersion of the workload. Default apps/v1.
	// +optional
	// +kubebuilder:validation:MaxLength=100
	APIVersion string `json:"apiVersion,omitempty"`
	// Kind of the workload. Default Deployment.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind,omitempty"`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace"`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// +kubebuilder:validation:Minimum=1
	MinReady int32 `json:"minReady"`
}

// DrillObjectives decide whether a drill that was not aborted passed. Those that are absent and have no default don't count.
type DrillObjectives struct {
	// RecoveryTime is how long after the injection the last request to each Service may fail.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$')",message="recoveryTime must be a duration such as 30s"
	RecoveryTime *metav1.Duration `json:"recoveryTime,omitempty"`
	// ReplacementTime is how long after the injection replacements of all replicas have to be ready.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$')",message="replacementTime must be a duration such as 2m"
	ReplacementTime *metav1.Duration `json:"replacementTime,omitempty"`
	// FailedRequests is how many requests to each Service may fail altogether.
	// +optional
	// +kubebuilder:validation:Minimum=0
	FailedRequests *int64 `json:"failedRequests,omitempty"`
	// FailedLate is how many requests to each Service may fail when its DNS answers no longer name the failed clusters, not even in
	// caches; and while everything is taken back. Default 0.
	// +optional
	// +kubebuilder:validation:Minimum=0
	FailedLate *int64 `json:"failedLate,omitempty"`
}

// FailoverDrillStatus is how the drill goes. Its size does not depend on the number of objects and requests.
type FailoverDrillStatus struct {
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Phase is Scheduled, Pending, Measuring, Injecting, Running, Restoring, Completed, Aborted or Refused.
	// +optional
	Phase string `json:"phase,omitempty"`
	// Conditions: Finished is True when nothing of the drill is left, Passed is Unknown until then.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Run counts the runs of this drill, from 1.
	// +optional
	Run int64 `json:"run,omitempty"`
	// Clusters that fail in this run. What was done to them is done back from this list.
	// +optional
	// +kubebuilder:validation:MaxItems=64
	// +listType=map
	// +listMapKey=name
	Clusters []DrillCluster `json:"clusters,omitempty"`
	// Times of this run.
	// +optional
	Times DrillTimes `json:"times,omitzero"`
	// Before is how the federation was before the injection.
	// +optional
	Before *DrillBefore `json:"before,omitempty"`
	// Plan is what the engine said of the loss before it was rehearsed.
	// +optional
	Plan *DrillPlan `json:"plan,omitempty"`
	// Timeline of this run, oldest first.
	// +optional
	// +kubebuilder:validation:MaxItems=100
	// +listType=atomic
	Timeline []DrillEvent `json:"timeline,omitempty"`
	// Services say what requests met with.
	// +optional
	// +kubebuilder:validation:MaxItems=16
	// +listType=map
	// +listMapKey=namespace
	// +listMapKey=name
	Services []DrillServiceResult `json:"services,omitempty"`
	// Moved counts the replicas that left the failed clusters, NotFitting those that no cluster had room for.
	// +optional
	Moved int32 `json:"moved,omitempty"`
	// +optional
	NotFitting int32 `json:"notFitting,omitempty"`
	// Moves are the objects with most replicas in the failed clusters.
	// +optional
	// +kubebuilder:validation:MaxItems=50
	// +listType=atomic
	Moves []DrillMove `json:"moves,omitempty"`
	// Broken is the guardrail that broke, or why the drill was aborted.
	// +optional
	Broken string `json:"broken,omitempty"`
	// Objectives and whether they were met, once the drill is over.
	// +optional
	// +kubebuilder:validation:MaxItems=64
	// +listType=atomic
	Objectives []DrillObjective `json:"objectives,omitempty"`
	// Execution is what the executor did.
	// +optional
	Execution *DrillExecution `json:"execution,omitempty"`
	// NextRun is when a scheduled drill begins.
	// +optional
	NextRun *metav1.Time `json:"nextRun,omitempty"`
	// History holds the latest runs, newest first.
	// +optional
	// +kubebuilder:validation:MaxItems=20
	// +listType=atomic
	History []DrillRun `json:"history,omitempty"`
}

// DrillCluster is a cluster that fails.
type DrillCluster struct {
	Name string `json:"name"`
	// Published says that DNS named it before the drill, Withdrawn that it does no longer.
	// +optional
	Published bool `json:"published,omitempty"`
	// +optional
	Withdrawn bool `json:"withdrawn,omitempty"`
	// Detected says that the federation noticed the failure; Verdict is what it believed last.
	// +optional
	Detected bool `json:"detected,omitempty"`
	// +optional
	Verdict string `json:"verdict,omitempty"`
	// Returned says that it is as before again.
	// +optional
	Returned bool `json:"returned,omitempty"`
}

// DrillTimes are the times of a run.
type DrillTimes struct {
	// Started: the checks had passed, requests began.
	// +optional
	Started *metav1.MicroTime `json:"started,omitempty"`
	// Injecting: the order to fail was given. Injected: all clusters had failed; durations count from here.
	// +optional
	Injecting *metav1.MicroTime `json:"injecting,omitempty"`
	// +optional
	Injected *metav1.MicroTime `json:"injected,omitempty"`
	// Withdrawn: DNS named no failed cluster any more.
	// +optional
	Withdrawn *metav1.MicroTime `json:"withdrawn,omitempty"`
	// Replaced: as many replicas were ready elsewhere as before.
	// +optional
	Replaced *metav1.MicroTime `json:"replaced,omitempty"`
	// Restoring: everything began to be taken back. Restored: the clusters were as before.
	// +optional
	Restoring *metav1.MicroTime `json:"restoring,omitempty"`
	// +optional
	Restored *metav1.MicroTime `json:"restored,omitempty"`
	// Finished: the drill was over.
	// +optional
	Finished *metav1.MicroTime `json:"finished,omitempty"`
}

// DrillBefore is how the federation was before the injection.
type DrillBefore struct {
	// Objects with replicas or copies in the clusters that fail, and their replicas there.
	Objects  int32 `json:"objects"`
	Replicas int32 `json:"replicas"`
	// Ready replicas in all clusters, no more of each object than it asks for.
	Ready int32 `json:"ready"`
	// NotFitting counts replicas that had no room even then.
	NotFitting int32 `json:"notFitting"`
}

// DrillPlan is what the engine said of the loss.
type DrillPlan struct {
	// Survives says that everything that would be lost would run elsewhere.
	Survives bool `json:"survives"`
	// Replicas that would be lost, and how long timers hold replacements back.
	Replicas int32           `json:"replicas"`
	Waits    metav1.Duration `json:"waits"`
	// Problems says what would not survive: the first ones.
	// +optional
	// +kubebuilder:validation:MaxItems=10
	// +listType=atomic
	Problems []string `json:"problems,omitempty"`
	// Forced says that the drill began all the same.
	// +optional
	Forced bool `json:"forced,omitempty"`
}

// DrillEvent is one line of the timeline.
type DrillEvent struct {
	Time  metav1.MicroTime `json:"time"`
	Event string           `json:"event"`
	// Cluster or Service (NAMESPACE/NAME) that it is about.
	// +optional
	Cluster string `json:"cluster,omitempty"`
	// +optional
	Service string `json:"service,omitempty"`
	// +optional
	Message string `json:"message,omitempty"`
}

// DrillServiceResult is what requests to one Service met with.
type DrillServiceResult struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Hostname that was asked for.
	// +optional
	Hostname string `json:"hostname,omitempty"`
	// Requests that ended, and those of them that failed.
	Requests int64 `json:"requests"`
	Failed   int64 `json:"failed"`
	// FailedLate is those that failed after DNS had withdrawn the failed clusters and the last cached answer had ended,
	// FailedInRestore while everything was taken back.
	// +optional
	FailedLate int64 `json:"failedLate,omitempty"`
	// +optional
	FailedInRestore int64 `json:"failedInRestore,omitempty"`
	// RecoveryTime is from the injection to the last failed request before the restore.
	// +optional
	RecoveryTime *metav1.Duration `json:"recoveryTime,omitempty"`
	// FirstFailure and LastFailure are when such requests were sent.
	// +optional
	FirstFailure *metav1.MicroTime `json:"firstFailure,omitempty"`
	// +optional
	LastFailure *metav1.MicroTime `json:"lastFailure,omitempty"`
	// LastError is what the last failed request met with.
	// +optional
	LastError string `json:"lastError,omitempty"`
	// TTLSeconds is the longest time that an answer of DNS was kept.
	// +optional
	TTLSeconds int32 `json:"ttlSeconds,omitempty"`
	// Failing says that requests fail now.
	// +optional
	Failing bool `json:"failing,omitempty"`
	// Outages are times with failed requests, those less than a second apart taken together.
	// +optional
	// +kubebuilder:validation:MaxItems=20
	// +listType=atomic
	Outages []DrillOutage `json:"outages,omitempty"`
	// Clusters that answered, and how often.
	// +optional
	// +kubebuilder:validation:MaxItems=64
	// +listType=map
	// +listMapKey=name
	Clusters []DrillAnswers `json:"clusters,omitempty"`
}

// DrillOutage is a time with failed requests.
type DrillOutage struct {
	From   metav1.MicroTime `json:"from"`
	To     metav1.MicroTime `json:"to"`
	Failed int64            `json:"failed"`
}

// DrillAnswers counts the requests that went to one cluster.
type DrillAnswers struct {
	Name     string `json:"name"`
	Requests int64  `json:"requests"`
	Failed   int64  `json:"failed"`
}

// DrillMove is what became of one object's replicas in the failed clusters.
type DrillMove struct {
	Kind string `json:"kind"`
	// +optional
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	// Lost replicas were there, of Ready ones in all clusters. Moved ones left, NotFitting ones found no room.
	Lost  int32 `json:"lost"`
	Ready int32 `json:"ready"`
	// +optional
	Moved int32 `json:"moved,omitempty"`
	// +optional
	NotFitting int32 `json:"notFitting,omitempty"`
}

// DrillObjective is one objective and what came of it.
type DrillObjective struct {
	// Name of the field of spec.objectives.
	Name string `json:"name"`
	// +optional
	Service string `json:"service,omitempty"`
	Want    string `json:"want"`
	Got     string `json:"got"`
	Met     bool   `json:"met"`
}

// DrillExecution is what the executor did. It writes these fields, nobody else does.
type DrillExecution struct {
	// +optional
	Injected *metav1.MicroTime `json:"injected,omitempty"`
	// +optional
	TakenBack *metav1.MicroTime `json:"takenBack,omitempty"`
	// Error is why it could not.
	// +optional
	Error string `json:"error,omitempty"`
}

// DrillRun is one run that is over.
type DrillRun struct {
	Run     int64        `json:"run"`
	Started *metav1.Time `json:"started,omitempty"`
	// Finished is when it was over, or refused.
	Finished metav1.Time `json:"finished"`
	// Result is Passed, Failed, Aborted or Refused.
	Result string `json:"result"`
	// +optional
	Message string `json:"message,omitempty"`
	// RecoveryTime of the Service that took longest.
	// +optional
	RecoveryTime *metav1.Duration `json:"recoveryTime,omitempty"`
	Requests     int64            `json:"requests"`
	Failed       int64            `json:"failed"`
	Moved        int32            `json:"moved"`
}

// Modes of a FailoverDrill.
const (
	DrillVerdict   = "Verdict"
	DrillDNS       = "DNS"
	DrillDrain     = "Drain"
	DrillKill      = "Kill"
	DrillPartition = "Partition"
)

// DrillExecutorPlayground is `kubefed drill run` beside a playground.
const DrillExecutorPlayground = "Playground"

// Phases of a FailoverDrill.
const (
	DrillScheduled = "Scheduled" // waits for its time
	DrillPending   = "Pending"   // its checks are under way, or it is suspended
	DrillMeasuring = "Measuring" // requests tell how the Services are before
	DrillInjecting = "Injecting" // the failure is being made
	DrillRunning   = "Running"   // it is there
	DrillRestoring = "Restoring" // it is being taken back
	DrillCompleted = "Completed" // it is over: condition Passed says how it went
	DrillAborted   = "Aborted"   // it was taken back early
	DrillRefused   = "Refused"   // nothing was begun
)

// Condition types and reasons of a FailoverDrill.
const (
	DrillFinished = "Finished"
	DrillPassed   = "Passed"

	ReasonDrillUnderWay       = "UnderWay"
	ReasonDrillPassed         = "ObjectivesMet"
	ReasonDrillFailed         = "ObjectivesMissed"
	ReasonDrillNotRestored    = "NotRestored" // a cluster did not come back
	ReasonDrillAborted        = "Aborted"     // somebody asked for it
	ReasonDrillGuardrail      = "GuardrailBroken"
	ReasonDrillNotCarriedOut  = "NotCarriedOut" // the executor did nothing, or could not
	ReasonDrillRefused        = "Refused"
	ReasonDrillWouldNotHold   = "WouldNotSurvive" // refused: the plan says so; spec.force overrides
	ReasonDrillOtherUnderWay  = "OtherDrill"      // refused: one at a time
	ReasonDrillUnknownTarget  = "UnknownTarget"
	ReasonDrillUnknownSubject = "UnknownSubject" // a Service or workload that there is not
	ReasonDrillNothingLeft    = "NothingLeft"    // no cluster would be left
	ReasonDrillUnhealthy      = "Unhealthy"      // a cluster or Service is not well already
	ReasonDrillIsolated       = "Isolated"
)

// Events of a timeline.
const (
	DrillEventStarted    = "Started"
	DrillEventInjected   = "Injected"
	DrillEventDetected   = "Detected"
	DrillEventVerdict    = "Verdict"
	DrillEventWithdrawn  = "DNSWithdrawn"
	DrillEventFailing    = "TrafficFailing"
	DrillEventRecovered  = "TrafficRecovered"
	DrillEventReplaced   = "ReplacementReady"
	DrillEventGuardrail  = "GuardrailBroken"
	DrillEventAborted    = "Aborted"
	DrillEventRestoring  = "Restoring"
	DrillEventReturned   = "ClusterReturned"
	DrillEventDNSBack    = "DNSReturned"
	DrillEventRestored   = "Restored"
	DrillEventResumed    = "Resumed" // the control plane was started again; requests were not sent meanwhile
	DrillEventRefused    = "Refused"
	DrillEventFinished   = "Finished"
	DrillEventNotBack    = "NotRestored"
	DrillEventUnexecuted = "NotCarriedOut"
)

// Results of a DrillRun.
const (
	DrillResultPassed  = "Passed"
	DrillResultFailed  = "Failed"
	DrillResultAborted = "Aborted"
	DrillResultRefused = "Refused"
)

// FinalizerDrill keeps a FailoverDrill until everything is taken back.
const FinalizerDrill = GroupName + "/drill"

// DrillTaintValue is the value of a TaintDrain that a drill set: it takes back no other.
const DrillTaintValue = "drill"

// FailoverDrillList is a list of FailoverDrills.
//
// +kubebuilder:object:root=true
type FailoverDrillList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []FailoverDrill `json:"items"`
}
