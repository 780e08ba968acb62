package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// watchPeriod is how often the page is made anew.
const watchPeriod = 2 * time.Second

// watchStatus shows the status again and again until ctx ends: on a terminal as a page that is drawn anew, else as a line, or
// with -o json as an object in a line, for each change.
func watchStatus(ctx context.Context, found Federation, output string, s Streams) error {
	page := output == "" && isTerminal(s)
	last := ""
	for {
		report, err := gatherStatus(ctx, found)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			fmt.Fprintf(s.Err, "%v\n", err) // it may be back in a moment
		default:
			report.Problems = problems(report)
			if last, err = drawStatus(s, report, output, page, last); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(watchPeriod):
		}
	}
}

func isTerminal(s Streams) bool {
	file, ok := s.Out.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// drawStatus shows a report if it differs from the last one, and returns what was shown.
func drawStatus(s Streams, r statusReport, output string, page bool, last string) (string, error) {
	var text string
	switch {
	case output != "":
		r.ControlPlane.Renewed = "" // comes and goes by itself
		data, err := json.Marshal(r)
		if err != nil {
			return last, fmt.Errorf("printing as json: %w", err)
		}
		text = string(data) + "\n"
	case page:
		var out bytes.Buffer
		printStatus(&out, r)
		text = "\x1b[H\x1b[2J" + out.String() // home, and clear the screen (ECMA-48)
	default:
		text = statusLine(r) + "\n"
	}
	if text == last {
		return last, nil
	}
	shown := text
	if output == "" && !page {
		shown = time.Now().UTC().Format("15:04:05Z") + " " + text
	}
	_, err := s.Out.Write([]byte(shown))
	return text, err
}

// statusLine is the page in a line.
func statusLine(r statusReport) string {
	ready := 0
	var others []string
	for _, c := range r.Clusters {
		if c.Ready && !c.impaired() && len(c.Marks) == 0 {
			ready++
			continue
		}
		state := "not ready"
		if c.impaired() {
			state = c.Verdict.State
		} else if c.Ready {
			state = "ready"
		}
		others = append(others, strings.TrimSpace(c.Name+" "+strings.Join(append([]string{state}, c.Marks...), ", ")))
	}
	words := []string{fmt.Sprintf("%d of %d clusters are well", ready, len(r.Clusters))}
	words = append(words, others...)
	words = append(words, fmt.Sprintf("%d of %d objects where they should be", r.Objects.Synced, r.Objects.Total))
	if r.Moves.Objects > 0 {
		words = append(words, fmt.Sprintf("%d move", r.Moves.Objects))
	}
	for _, w := range r.Moves.Waiting {
		words = append(words, fmt.Sprintf("%d wait", w.Objects))
	}
	if r.Federation.Isolated != "" {
		words = append(words, "ISOLATED")
	}
	return strings.Join(words, "; ")
}
