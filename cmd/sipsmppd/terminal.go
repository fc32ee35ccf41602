package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// onTerminal says whether what is written to w is read on a terminal, which it is no more when that was closed.
func onTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
