package mi

import (
	"strings"
	"sync"
)

// otherNames are the names that OpenSIPS 4 gave to its methods where they do not follow from ours.
var otherNames = map[string]string{
	"evi:list":         "events_list",
	"evi:subscribe":    "event_subscribe",
	"evi:subscribers":  "subscribers_list",
	"evi:raise":        "raise_event",
	"evi:ack":          "ack",
	"statistics:get":   "get_statistics",
	"statistics:list":  "list_statistics",
	"statistics:reset": "reset_statistics",
	"core:which":       "which",
	"core:help":        "help",
	"core:version":     "version",
	"core:uptime":      "uptime",
	"core:ps":          "ps",
	"core:kill":        "kill",
	"core:log_level":   "log_level",
	"core:reload":      "reload",
}

// names finds every method by each of its names.
var names = sync.OnceValue(func() map[string]*Declaration {
	known := make(map[string]*Declaration)
	spoken := make(map[string]bool) // has another name already
	for _, d := range declarations {
		known[d.Name] = d
	}
	for other, name := range otherNames {
		known[other] = known[name]
		spoken[name] = true
	}
	for _, d := range declarations {
		if module, rest, ok := strings.Cut(d.Name, "_"); ok && !spoken[d.Name] {
			known[module+":"+rest] = d
		}
	}
	return known
})

// Lookup finds a method by name: ours, `smpp_reload`, or as OpenSIPS 4 writes it, `smpp:reload`.
func Lookup(name string) (*Declaration, bool) {
	d, ok := names()[name]
	return d, ok
}

// OtherNames are the names of the methods as OpenSIPS 4 writes them.
func OtherNames() []string {
	var list []string
	for _, d := range declarations {
		for name, o := range names() {
			if o == d && name != d.Name {
				list = append(list, name)
			}
		}
	}
	return list
}
