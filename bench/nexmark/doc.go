// Package nexmark is the Nexmark benchmark on Weft: people, auctions and bids of an online auction house, and the queries
// q0 to q22 over them, written as a user would write them.
//
// Queries has the queries by name; Job runs one. The events are made by Generator as a pure function of their number, so
// that every run, and every oracle, reads the same ones. As in the reference implementation a generator of several has a
// contiguous range of the events, and the time of all of them begins at BaseTime.
//
// Where the reference is SQL with retractions, a query emits its result for a key again whenever it changes (q4, q15 to
// q19); where the reference leaves an order open, ties are broken by time, bidder and price, so that there is one right
// answer. q10 writes files, and q12 counts by processing time: how its counts are cut into windows differs from run to
// run, their sums don't.
//
// The package has no state and starts no goroutine.
package nexmark
