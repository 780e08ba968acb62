package cli

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// progressTo prints lines about what is being done or waited for to somebody who watches; scripts and logs are spared. An
// error says what was waited for in any case.
func progressTo(s Streams) func(format string, args ...any) {
	out := progressWriter(s)
	return func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }
}

func progressWriter(s Streams) io.Writer {
	if file, ok := s.Err.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		return file
	}
	return io.Discard
}

// noteTo prints what is good to know beside the result: always, and apart from it.
func noteTo(s Streams) func(format string, args ...any) {
	return func(format string, args ...any) { fmt.Fprintf(s.Err, format+"\n", args...) }
}
