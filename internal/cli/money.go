package cli

import (
	"fmt"
	"io"
	"strings"

	"kubefed.dev/kubefed/pkg/plan"
)

// hourly reads "0.4210 USD", "0.1000 EUR + 0.4210 USD", and with "+ unknown" where that is not all.
func hourly(c plan.Cost) string { return amounts("%.4f %s", c.Hour, c.Unknown) }

// monthly is the same for a month.
func monthly(c plan.Cost) string {
	return amounts("%.2f %s", c.Hour.Times(plan.HoursPerMonth), c.Unknown)
}

func amounts(format string, m plan.Money, unknown int32) string {
	var words []string
	for _, currency := range m.Currencies() {
		words = append(words, fmt.Sprintf(format, m[currency], currency))
	}
	if unknown > 0 || len(words) == 0 {
		words = append(words, "unknown")
	}
	return strings.Join(words, " + ")
}

// difference reads "+0.1200 EUR/h, -0.4210 USD/h", "-" where nothing changes.
func difference(c plan.Cost) string {
	var words []string
	for _, currency := range c.Hour.Currencies() {
		words = append(words, fmt.Sprintf("%+.4f %s/h", c.Hour[currency], currency))
	}
	if c.Unknown > 0 {
		words = append(words, "unknown")
	}
	return dash(strings.Join(words, ", "))
}

// printDifference says how much more a change costs.
func printDifference(out io.Writer, c plan.Cost) {
	for _, currency := range c.Hour.Currencies() {
		amount, word := c.Hour[currency], "more"
		if amount < 0 {
			amount, word = -amount, "less"
		}
		fmt.Fprintf(out, "It would cost %.4f %s an hour %s, %.2f %s a month (730 h)\n", amount, currency, word, amount*plan.HoursPerMonth, currency)
	}
	if c.Unknown > 0 {
		fmt.Fprintf(out, "Pods whose cost is not known, and not in these sums: %d (kubefed cost -o wide shows the prices)\n", c.Unknown)
	}
}
