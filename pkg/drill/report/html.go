package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"time"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

//go:embed report.html
var page string

var pageTemplate = template.Must(template.New("report").Parse(page))

// Measures of the drawing, in its own units.
const (
	drawingWidth = 1000.0
	drawingLeft  = 14.0
	drawingRight = 20.0
	labelHeight  = 16.0
	laneHeight   = 42.0
	// labelRows bounds the labels above each other. What finds no room is a line without a label; the table below has all.
	labelRows = 8
	// letterWidth is what a letter of a label takes, about.
	letterWidth = 6.4
)

// drawing is the timeline as a picture.
type drawing struct {
	Width, Height, Left, Right     float64
	LanesTop, LanesTo, LanesHeight float64
	Bands                          []band
	Marks                          []mark
	Lanes                          []lane
	Ticks                          []tick
}

type band struct {
	X, Width float64
	Class    string
	Title    string
}

type mark struct {
	X, Y, LabelX float64
	Label, Title string
	Anchor       string
	Times        int // how many events the label stands for
}

type lane struct {
	Y, TextY, X, Width float64
	Name               string
	Outages            []band
}

type tick struct {
	X     float64
	Label string
}

// HTML writes a report as one page: no scripts, nothing from elsewhere, for light and dark.
func HTML(out io.Writer, d *federation.FailoverDrill) error {
	type table struct {
		Title   string
		Columns []string
		Rows    [][]string
	}
	data := struct {
		Name, What, Verdict, Class string
		Run                        int64
		When                       string
		Facts                      []string
		Drawing                    *drawing
		Tables                     []table
	}{Name: d.Name, What: What(d), Verdict: Verdict(d), Class: "open", Run: d.Status.Run, Facts: facts(d), Drawing: draw(d)}
	if len(d.Status.History) > 0 && d.Status.History[0].Run == d.Status.Run {
		data.Class = d.Status.History[0].Result
	}
	if s := d.Status.Times.Started; s != nil {
		data.When = s.UTC().Format(time.RFC1123)
	}
	for _, s := range sections(d) {
		data.Tables = append(data.Tables, table{s.title, s.columns, s.rows})
	}
	if err := pageTemplate.Execute(out, data); err != nil {
		return fmt.Errorf("writing the report of drill %s: %w", d.Name, err)
	}
	return nil
}

// draw lays the timeline out; nil where nothing happened.
func draw(d *federation.FailoverDrill) *drawing {
	events, t := d.Status.Timeline, &d.Status.Times
	if len(events) == 0 {
		return nil
	}
	from, to, zero := events[0].Time.Time, events[len(events)-1].Time.Time, Zero(d)
	span := max(to.Sub(from), time.Second)
	x := func(at time.Time) float64 {
		share := float64(at.Sub(from)) / float64(span)
		return tenths(drawingLeft + min(max(share, 0), 1)*(drawingWidth-drawingLeft-drawingRight))
	}
	g := &drawing{Width: drawingWidth, Left: drawingLeft, Right: drawingWidth - drawingRight}
	rows := g.label(events, zero, x)
	g.LanesTop = float64(rows)*labelHeight + 14
	y := g.LanesTop + 6
	for i := range d.Status.Services {
		s := &d.Status.Services[i]
		l := lane{Y: y + 14, TextY: y + 10, X: x(from), Width: x(to) - x(from), Name: s.Namespace + "/" + s.Name}
		for _, o := range s.Outages {
			l.Outages = append(l.Outages, band{X: x(o.From.Time), Width: max(tenths(x(o.To.Time)-x(o.From.Time)), 3),
				Title: fmt.Sprintf("%d failed requests from %s to %s", o.Failed, Offset(o.From.Time, zero), Offset(o.To.Time, zero))})
		}
		g.Lanes, y = append(g.Lanes, l), y+laneHeight
	}
	g.LanesTo = max(y, g.LanesTop+20)
	g.LanesHeight, g.Height = g.LanesTo-g.LanesTop, g.LanesTo+24
	if t.Injected != nil {
		end := to
		if t.Restoring != nil {
			end = t.Restoring.Time
		}
		g.Bands = append(g.Bands, band{X: x(t.Injected.Time), Width: tenths(x(end) - x(t.Injected.Time)), Class: "failure", Title: "the failure"})
		g.Bands = append(g.Bands, band{X: x(end), Width: tenths(x(to) - x(end)), Class: "restore", Title: "taken back"})
	}
	g.scale(from, to, zero, x)
	return g
}

// label places the labels of events above each other where they would overlap, and returns the number of rows. The same event of
// several clusters at about the same time has one label.
func (g *drawing) label(events []federation.DrillEvent, zero time.Time, x func(time.Time) float64) int {
	var ends []float64 // of each row
	last := map[string]int{}
	for _, e := range events {
		subject, message := Line(e)
		m := mark{X: x(e.Time.Time), Label: e.Event, Title: fmt.Sprintf("%s %s %s %s", Offset(e.Time.Time, zero), e.Event, subject, message), Anchor: "start"}
		width := float64(len(m.Label)+4) * letterWidth // with room for how often
		if i, ok := last[e.Event]; ok && m.X-g.Marks[i].X < width/2 {
			g.Marks[i].Times++
			g.Marks[i].Title += "\n" + m.Title
			m.Label, m.Y = "", g.Marks[i].Y
			g.Marks = append(g.Marks, m)
			continue
		}
		m.LabelX = m.X + 3
		if m.LabelX+width > drawingWidth {
			m.LabelX, m.Anchor = m.X-3, "end"
		}
		left := m.LabelX
		if m.Anchor == "end" {
			left -= width
		}
		row := 0
		for row < len(ends) && ends[row] > left {
			row++
		}
		switch {
		case row == labelRows:
			m.Label, row = "", labelRows-1
		case row == len(ends):
			ends = append(ends, 0)
			fallthrough
		default:
			ends[row] = left + width
		}
		m.Y, m.Times = float64(row+1)*labelHeight, 1
		last[e.Event] = len(g.Marks)
		g.Marks = append(g.Marks, m)
	}
	return len(ends)
}

// scale writes the seconds or minutes below, at most a dozen of them.
func (g *drawing) scale(from, to, zero time.Time, x func(time.Time) float64) {
	step := time.Second
	for _, s := range []time.Duration{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600} {
		if step = s * time.Second; to.Sub(from)/step <= 12 {
			break
		}
	}
	for at := zero.Add(-zero.Sub(from).Truncate(step)); !at.After(to); at = at.Add(step) {
		label := fmt.Sprintf("%ds", int(at.Sub(zero).Seconds()))
		if step >= time.Minute {
			label = fmt.Sprintf("%dm", int(at.Sub(zero).Minutes()))
		}
		g.Ticks = append(g.Ticks, tick{X: x(at), Label: label})
	}
}

func tenths(x float64) float64 { return math.Round(10*x) / 10 }
