package nexmark

import (
	"cmp"
	"fmt"
	"iter"
	"time"

	"github.com/weftstream/weft/stream"
)

// HotItem is how many bids an auction got in a window.
type HotItem struct {
	Auction, Bids int64
	Start, End    stream.Time
}

// q5 has the auctions with the most bids of the last 10 s, every 2 s.
func q5(q *query) {
	counts := stream.Aggregate(stream.KeyBy(q.bids(), func(b Bid) int64 { return b.Auction }).Window(stream.Sliding(10*time.Second, 2*time.Second)),
		func(n *int64, _ Bid) { *n++ },
		func(p stream.Pane[int64], n *int64) HotItem { return HotItem{p.Key, *n, p.Start, p.End} })
	// A window's counts have the time of its last millisecond, so each slide has those of one window.
	hot := stream.Apply(stream.KeyBy(counts, func(i HotItem) stream.Time { return i.End }).Window(stream.Tumbling(2*time.Second)),
		func(_ stream.Pane[stream.Time], in iter.Seq[HotItem], emit func(HotItem)) {
			var most int64
			for i := range in {
				most = max(most, i.Bids)
			}
			for i := range in {
				if i.Bids == most {
					emit(i)
				}
			}
		})
	give(q, hot, func(i HotItem) string { return fmt.Sprintf("%d,%d,%d,%d", i.Auction, i.Bids, i.Start, i.End) })
}

// highest are the bids of the highest price; its zero value has none.
type highest struct{ Bids []Bid }

func (h *highest) add(b Bid) {
	switch {
	case len(h.Bids) == 0 || b.Price == h.Bids[0].Price:
		h.Bids = append(h.Bids, b)
	case b.Price > h.Bids[0].Price:
		h.Bids = append(h.Bids[:0], b)
	}
}

// Highest are the highest bids of a window.
type Highest struct {
	End  stream.Time
	Bids []Bid
}

// q7 has the highest bids of every 10 s: first those of each auction, then of all.
func q7(q *query) {
	const size = 10 * time.Second
	of := stream.Aggregate(stream.KeyBy(q.bids(), func(b Bid) int64 { return b.Auction }).Window(stream.Tumbling(size)),
		func(h *highest, b Bid) { h.add(b) },
		func(p stream.Pane[int64], h *highest) Highest { return Highest{p.End, h.Bids} })
	all := stream.Aggregate(stream.KeyBy(of, func(h Highest) stream.Time { return h.End }).Window(stream.Tumbling(size)),
		func(all *highest, h Highest) {
			for _, b := range h.Bids {
				all.add(b)
			}
		},
		func(_ stream.Pane[stream.Time], h *highest) highest { return *h })
	bids := stream.FlatMap(all, func(h highest, emit func(Bid)) {
		for _, b := range h.Bids {
			emit(b)
		}
	})
	give(q, bids, bidLine)
}

// NewSeller is somebody who came and began an auction within the same window.
type NewSeller struct {
	ID      int64
	Name    string
	Auction int64
}

// q8 has the auctions of people who are new, by windows of 10 s.
func q8(q *query) {
	sellers := stream.Join(stream.KeyBy(q.people(), func(p Person) int64 { return p.ID }), stream.KeyBy(q.auctions(), func(a Auction) int64 { return a.Seller }),
		stream.Tumbling(10*time.Second), func(p Person, a Auction) NewSeller { return NewSeller{p.ID, p.Name, a.ID} })
	give(q, sellers, func(s NewSeller) string { return fmt.Sprintf("%d,%s,%d", s.ID, s.Name, s.Auction) })
}

// BidderCount is how often somebody bid in a window.
type BidderCount struct {
	Bidder, Bids int64
	Start, End   stream.Time
}

func countBidders(q *query, a stream.Assigner) stream.Stream[BidderCount] {
	return stream.Aggregate(stream.KeyBy(q.bids(), func(b Bid) int64 { return b.Bidder }).Window(a),
		func(n *bidCount, _ Bid) { n.N++ },
		func(p stream.Pane[int64], n *bidCount) BidderCount { return BidderCount{p.Key, n.N, p.Start, p.End} })
}

type bidCount struct{ N int64 }

// Merge is for sessions.
func (n *bidCount) Merge(o *bidCount) { n.N += o.N }

// q11 counts the bids of each session of a bidder: until there is none for 10 s.
func q11(q *query) {
	give(q, countBidders(q, stream.Session(10*time.Second)), func(c BidderCount) string {
		return fmt.Sprintf("%d,%d,%d,%d", c.Bidder, c.Bids, c.Start, c.End)
	})
}

// q12 counts the bids of each bidder by windows of 10 s of processing time. What is in the last one when the input ends is
// not given, as in Flink.
func q12(q *query) {
	give(q, countBidders(q, stream.Tumbling(cmp.Or(q.Processing, 10*time.Second)).ProcessingTime()), func(c BidderCount) string {
		return fmt.Sprintf("%d\t%d", c.Bidder, c.Bids)
	})
}
