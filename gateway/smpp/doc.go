// Package smpp holds the SMPP side: sessions, binds, connections and the listener (SMPP 3.4 issue 1.2).
package smpp
