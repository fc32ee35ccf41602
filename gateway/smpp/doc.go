// Package smpp holds the SMPP side: it keeps sessions bound to the peers of table smpp, hands them messages segment by segment,
// and tells its Handler what they send (SMPP 3.4 issue 1.2); and it listens for the ESMEs of table smpp_account, whose SMSC it is.
//
// Its promises: Submit never blocks, starts no goroutine, and ends every message in exactly one Outcome that says what is known
// of its fate; a peer that does not read, answers wrongly or not at all costs its own session and nothing else; what waits,
// waits in a bounded queue with a deadline; a reload touches only what changed.
//
// How it is built: a Connections holds a connection for each row, a connection a bind for each session that it shall hold, and
// a bind makes one session after another. A session is two goroutines, a reader and a writer that writes all that is queued at
// once; everything else runs on the goroutine that brought it. What waits for a window slot, of a connection as of an account, waits
// in its outbox. Locks are taken in the order Connections or Accounts, connection, account, session, and no Handler or done is called
// with one held.
package smpp
