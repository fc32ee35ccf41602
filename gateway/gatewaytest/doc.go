// Package gatewaytest plays the gateway's peers: an SMSC, an ESME and a SIP user agent, scripted and fast enough to load it.
//
// The peers share no code with the gateway, so that a test's two ends never make the same mistake: PDUs of session control go
// through github.com/linxGnu/gosmpp, those that carry messages are read and written from their octets here, since gosmpp loses
// data_coding and TLVs. Whatever a peer sends, a scripted peer does not panic, and what it keeps of it is bounded. Close of
// anything here returns when its goroutines have ended.
package gatewaytest
