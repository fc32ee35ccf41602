package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// usage is what a process has used, from /proc (proc(5)).
type usage struct {
	user, system time.Duration // CPU
	rss          int64         // octets now
}

// clockTick is the unit of /proc/PID/stat on every Linux that Go runs on.
const clockTick = 10 * time.Millisecond

func processUsage(pid int) (u usage, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u, err
	}
	// The command's name, the second field, may have blanks and brackets in it.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 22 {
		return u, errors.New("/proc/PID/stat is not what it was")
	}
	var numbers [3]int64
	for i, field := range []int{11, 12, 21} { // utime, stime, rss
		if numbers[i], err = strconv.ParseInt(fields[field], 10, 64); err != nil {
			return u, err
		}
	}
	u.user, u.system = time.Duration(numbers[0])*clockTick, time.Duration(numbers[1])*clockTick
	u.rss = numbers[2] * int64(os.Getpagesize())
	return u, nil
}

// memory is what a process held over a run, in octets of RSS.
type memory struct {
	First   int64 `json:"first"` // before the load
	Highest int64 `json:"highest"`
	Last    int64 `json:"last"`
}

func (m memory) String() string {
	return fmt.Sprintf("memory %d MB before, %d MB at most, %d MB at the end", m.First>>20, m.Highest>>20, m.Last>>20)
}

// memoryInterval is the time between two looks at a process's memory.
const memoryInterval = 200 * time.Millisecond

// watchProcess looks at a process until stop, which gives what it used since.
func watchProcess(pid int) (stop func() (cpu usage, m memory, err error), err error) {
	first, err := processUsage(pid)
	if err != nil {
		return nil, err
	}
	m := memory{First: first.rss, Highest: first.rss}
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(memoryInterval)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if u, err := processUsage(pid); err == nil { // one that has ended is noticed by stop
					m.Highest = max(m.Highest, u.rss)
				}
			case <-done:
				return
			}
		}
	})
	return func() (usage, memory, error) {
		close(done)
		running.Wait()
		last, err := processUsage(pid)
		m.Last, m.Highest = last.rss, max(m.Highest, last.rss)
		return usage{user: last.user - first.user, system: last.system - first.system}, m, err
	}, nil
}
