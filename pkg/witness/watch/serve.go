package watch

import (
	"encoding/json"
	"net/http"
	"time"

	"kubefed.dev/kubefed/pkg/probe"
)

// Path is where a witness answers.
const Path = "/sightings"

// maxRequest bounds a request, in bytes.
const maxRequest = 4 << 20

// Request is what a witness is asked.
type Request struct {
	Targets []probe.Target `json:"targets"`
}

// Response is what it answers: one sighting for each target, in their order.
type Response struct {
	// Now is the time by the witness's clock, which its sightings are by.
	Now       time.Time        `json:"now"`
	Sightings []probe.Sighting `json:"sightings"`
}

// Handler serves POST /sightings, and /healthz.
func (w *Watch) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte("ok")) })
	mux.HandleFunc("POST "+Path, w.serve)
	return mux
}

func (w *Watch) serve(rw http.ResponseWriter, r *http.Request) {
	var request Request
	if err := json.NewDecoder(http.MaxBytesReader(rw, r.Body, maxRequest)).Decode(&request); err != nil {
		http.Error(rw, "reading the targets: "+err.Error(), http.StatusBadRequest)
		return
	}
	sightings, err := w.See(request.Targets)
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	rw.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(rw).Encode(Response{Now: time.Now(), Sightings: sightings}) // a caller who left needs no answer
}
