// Package sip is the gateway's SIP endpoint: it takes MESSAGE requests in and sends them out (RFC 3261, RFC 3428).
//
// It is a user agent and, where Config.Registrar says so, a registrar, and nothing else: no proxy, no dialogs. What comes in is decoded to
// an sms.Message and given to a Handler; what goes out goes to the contacts of the user whose number it is for, else to the next hops
// of Config.OutboundURI.
//
// Its promises:
//   - A request is handed over once. A retransmission gets the answer that the first one got, or silence while that is still
//     being worked on; the same request by another path gets 482 (RFC 3261, 8.2.2.2).
//   - Nothing here blocks a caller: Send and answer queue, and what is queued leaves in batches. Queues and tables are bounded;
//     beyond the bounds a new request gets 503 with Retry-After, and a message to SIP fails as not sent.
//   - No goroutine and no timer is started for a message that goes at once; where some wait for one address they share a timer. There
//     are two goroutines for each socket, one for all transactions' timers, one for each connection being dialled and each name
//     being resolved.
//   - Whatever octets come in, the endpoint goes on, its memory stays bounded, and who can be answered is answered. A source
//     that is not trusted leaves no state behind before it has answered a challenge.
//   - A contact is kept by the Handler before its REGISTER is answered, and is reached only by the way that it came: what it says
//     of itself points us at nobody.
//   - An answer that does not fit its queue is dropped; the retransmission gets it. Everything else that was promised to be
//     told is told: Send's done is called exactly once, also through Close.
//
// The layers, from the wire up: udp.go and stream.go carry octets; scan.go takes a message apart where it lies; answered.go and
// pending.go are the server's and the client's transactions; server.go and client.go are the user agent, register.go and
// registrar.go the registrar, and fork.go and lanes.go what brings a message to its contacts. URIs and addresses are
// read by sipgo; the head of a message is not, since its answer must carry what came as it came, also of what does not parse,
// and since that halves the cost of a request.
package sip
