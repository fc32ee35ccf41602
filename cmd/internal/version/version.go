// Package version says which version of sipsmpp the commands are of.
package version

// Number is what --version and the MI's version say.
const Number = "0.1.0"
