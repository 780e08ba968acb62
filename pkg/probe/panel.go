package probe

import "time"

// Sighting is what one witness says of a Target.
type Sighting struct {
	// Witness is the cluster that it looks from.
	Witness string `json:"witness"`
	Alive   bool   `json:"alive"`
	// Since is when it began to say so, At when it asked last.
	Since time.Time `json:"since"`
	At    time.Time `json:"at"`
	// Message is the error, where it is not alive.
	Message string `json:"message,omitempty"`
}

// Traffic is what the control plane's own probes say of all published endpoints of one cluster.
type Traffic struct {
	// Probed endpoints gave a verdict of their own; Alive of them answered.
	Probed, Alive int
	// Since is when Alive became 0, or greater than 0, last.
	Since time.Time
}
