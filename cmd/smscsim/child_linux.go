package main

import "syscall"

// childAttributes puts a process into a group of its own, and ends it with this one, however this one ends.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
