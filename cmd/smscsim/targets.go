package main

import "fmt"

// target is one of the figures that the gateway is to reach, and what a run of the standard set says of it.
type target struct {
	Name     string `json:"name"`
	Wanted   string `json:"wanted"`
	Measured string `json:"measured"`
	Met      bool   `json:"met"`
}

// What OpenSIPS 3.6 with its SMPP module took beside the load, on two CPUs of the machine that the targets were set on: messages a
// second, and CPU of each in microseconds.
const (
	opensipsRate = 17_000
	opensipsCPU  = 50
)

// The targets.
const (
	mostOfFloor     = 3 // times the floor's CPU, as fast as it goes
	mostPaced       = 1 // times the floor's, at 5,000/s
	mostOfOpenSIPS  = 1.0 / 3
	leastOfOpenSIPS = 3.5 // times its rate
	mostRecorded    = 0.55
	leastRecorded   = 2
	leastReceipts   = 0.5 // of the rate without
	leastSMPP       = 50_000
	mostAnswer      = 5 // milliseconds, p99
	mostMemory      = 150
)

// targets judges the rows. A target whose row is missing or has failed is left out, or not met.
func (b benchResult) targets() (list []target) {
	row := func(key string) *benchRow {
		for i := range b.Rows {
			if r := &b.Rows[i]; r.key == key && r.Gateway != nil && r.Gateway.Process != nil {
				return r
			}
		}
		return nil
	}
	add := func(name string, met bool, wanted, measured string) {
		list = append(list, target{name, wanted, measured, met})
	}
	for _, of := range []struct{ key, name string }{{"mt", "SIP to SMPP"}, {"mo", "SMPP to SIP"}} {
		r := row(of.key)
		if r == nil || r.Floor == nil {
			continue
		}
		cpu, rate := r.Gateway.Process.CPU, r.Gateway.Rate
		add(of.name+", CPU a message", r.Ratio <= mostOfFloor, fmt.Sprintf("at most %d times the floor's", mostOfFloor),
			fmt.Sprintf("%.2f times", r.Ratio))
		add(of.name+", beside OpenSIPS 3.6", cpu <= mostOfOpenSIPS*opensipsCPU && rate >= leastOfOpenSIPS*opensipsRate,
			fmt.Sprintf("at most %.1f us, at least %.0f/s", mostOfOpenSIPS*opensipsCPU, leastOfOpenSIPS*opensipsRate),
			fmt.Sprintf("%.1f us, %.0f/s", cpu, rate))
	}
	if r := row("paced"); r != nil && r.Floor != nil {
		add("SIP to SMPP at 5,000/s, CPU a message", r.Ratio <= mostPaced, "at most the floor's, which does not rest",
			fmt.Sprintf("%.2f times: %.1f us to %.1f", r.Ratio, r.Gateway.Process.CPU, r.Floor.Process.CPU))
	}
	if r := row("half"); r != nil {
		p99 := float64(r.Gateway.Flows[0].Answer.P99) / 1e6
		add("SIP to SMPP at half the highest rate, p99 to the answer", p99 < mostAnswer, fmt.Sprintf("below %d ms", mostAnswer),
			fmt.Sprintf("%.1f ms", p99))
	}
	if r := row("recorded"); r != nil {
		cpu, rate := r.Gateway.Process.CPU, r.Gateway.Rate
		add("every message committed to SQLite before its answer", cpu <= mostRecorded*opensipsCPU && rate >= leastRecorded*opensipsRate,
			fmt.Sprintf("at most %.1f us, at least %.0f/s", mostRecorded*opensipsCPU, float64(leastRecorded*opensipsRate)),
			fmt.Sprintf("%.1f us, %.0f/s", cpu, rate))
	}
	if r, bare := row("receipts"), row("mt"); r != nil && bare != nil {
		share := r.Gateway.Rate / bare.Gateway.Rate
		add("the same with a receipt and a report for each", share >= leastReceipts, "at least half the bare rate", fmt.Sprintf("%.0f %%", 100*share))
	}
	for _, of := range []struct{ key, name string }{{"esme", "an account to a connection"}, {"relay", "a connection to another"}} {
		if r := row(of.key); r != nil {
			add("SMPP to SMPP, "+of.name, r.Gateway.Rate >= leastSMPP, fmt.Sprintf("at least %d/s", leastSMPP), fmt.Sprintf("%.0f/s", r.Gateway.Rate))
		}
	}
	for _, r := range b.Rows {
		if !r.long || r.Gateway == nil || r.Gateway.Process == nil {
			continue
		}
		held, c := r.Gateway.Process.Memory.Highest>>20, r.Gateway.Flows[0].Count
		add(r.Name+": memory", held < mostMemory, fmt.Sprintf("below %d MB", mostMemory), fmt.Sprintf("%d MB", held))
		add(r.Name+": lost and doubled", c.Lost+c.Doubled == 0, "none", fmt.Sprintf("%d, %d of %d", c.Lost, c.Doubled, c.Sent))
	}
	return list
}
