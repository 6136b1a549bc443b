package nexmark

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/weftstream/weft/stream"
)

func day(at stream.Time) string { return time.UnixMilli(int64(at)).UTC().Format(time.DateOnly) }

// rank is 0, 1 or 2: a low, a middling or a high price.
func rank(price int64) int {
	switch {
	case price < 10_000:
		return 0
	case price < 1_000_000:
		return 1
	}
	return 2
}

// ChannelDay is what is counted apart; Channel is "" where all are counted together.
type ChannelDay struct{ Channel, Day string }

// Statistics are numbers of bids, bidders and auctions: of all, and of the bids of each rank.
type Statistics struct {
	Of                      ChannelDay
	Bids, Bidders, Auctions [4]int64
}

func (s Statistics) line() string {
	return fmt.Sprintf("%s %s\t%v,%v,%v", s.Of.Channel, s.Of.Day, s.Bids, s.Bidders, s.Auctions)
}

// seen is somebody or something that was counted in a rank; rank 3 is that of all.
type seen struct {
	ID   int64
	Rank int8
}

type statistics struct {
	total             *stream.Value[Statistics]
	bidders, auctions *stream.MapOf[seen, bool]
}

func newStatistics(rt *stream.Runtime) *statistics {
	return &statistics{stream.ValueState[Statistics](rt, "total"), stream.MapState[seen, bool](rt, "bidders"), stream.MapState[seen, bool](rt, "auctions")}
}

// distinct is 1 for the first time that an id comes in a rank.
func distinct(m *stream.MapOf[seen, bool], id int64, rank int) int64 {
	k := seen{id, int8(rank)}
	if _, ok := m.Get(k); ok {
		return 0
	}
	m.Set(k, true)
	return 1
}

func (s *statistics) Element(c *stream.Context[ChannelDay, Statistics], b Bid) error {
	var out Statistics
	s.total.Update(func(t *Statistics) {
		t.Of = c.Key
		for _, r := range []int{rank(b.Price), 3} {
			t.Bids[r]++
			t.Bidders[r] += distinct(s.bidders, b.Bidder, r)
			t.Auctions[r] += distinct(s.auctions, b.Auction, r)
		}
		out = *t
	})
	c.Emit(out)
	return nil
}

// q15 has the statistics of each day.
func q15(q *query) {
	give(q, stream.Process(stream.KeyBy(q.bids(), func(b Bid) ChannelDay { return ChannelDay{"", day(b.At)} }), newStatistics), Statistics.line)
}

// q16 has the statistics of each channel and day.
func q16(q *query) {
	give(q, stream.Process(stream.KeyBy(q.bids(), func(b Bid) ChannelDay { return ChannelDay{b.Channel, day(b.At)} }), newStatistics), Statistics.line)
}

// AuctionDay is an auction on a day.
type AuctionDay struct {
	Auction int64
	Day     string
}

// Prices are what was bid in an auction on a day.
type Prices struct {
	Of            AuctionDay
	Bids          int64
	Ranks         [3]int64
	Min, Max, Sum int64
}

func (p Prices) line() string {
	return fmt.Sprintf("%d %s\t%d,%v,%d,%d,%d,%d", p.Of.Auction, p.Of.Day, p.Bids, p.Ranks, p.Min, p.Max, p.Sum/p.Bids, p.Sum)
}

// q17 has the prices of each auction and day.
func q17(q *query) {
	one := stream.Map(q.bids(), func(b Bid) Prices {
		p := Prices{Of: AuctionDay{b.Auction, day(b.At)}, Bids: 1, Min: b.Price, Max: b.Price, Sum: b.Price}
		p.Ranks[rank(b.Price)] = 1
		return p
	})
	all := stream.KeyBy(one, func(p Prices) AuctionDay { return p.Of }).Reduce(func(a, b Prices) Prices {
		a.Bids += b.Bids
		for i := range a.Ranks {
			a.Ranks[i] += b.Ranks[i]
		}
		a.Min, a.Max, a.Sum = min(a.Min, b.Min), max(a.Max, b.Max), a.Sum+b.Sum
		return a
	})
	give(q, all, Prices.line)
}

// BidderAuction is somebody who bids in an auction.
type BidderAuction struct{ Bidder, Auction int64 }

// q18 has the last bid of each bidder in each auction; of bids of one millisecond the highest.
func q18(q *query) {
	last := stream.KeyBy(q.bids(), func(b Bid) BidderAuction { return BidderAuction{b.Bidder, b.Auction} }).Reduce(func(a, b Bid) Bid {
		if cmp.Or(cmp.Compare(b.At, a.At), cmp.Compare(b.Price, a.Price)) > 0 {
			return b
		}
		return a
	})
	give(q, last, func(b Bid) string { return fmt.Sprintf("%d %d\t%s", b.Bidder, b.Auction, bidLine(b)) })
}

// topBids is how many bids q19 keeps.
const topBids = 10

// Top are the best bids of an auction, the best first.
type Top struct {
	Auction int64
	Bids    []Bid
}

func (t Top) line() string {
	s := fmt.Sprintf("%d\t", t.Auction)
	for _, b := range t.Bids {
		s += fmt.Sprintf("%d/%d/%d,", b.Price, b.At, b.Bidder)
	}
	return s
}

type top struct{ bids *stream.List[Bid] }

func (t *top) Element(c *stream.Context[int64, Top], b Bid) error {
	bids := slices.Collect(t.bids.All())
	at := len(bids)
	for at > 0 && beats(&b, &bids[at-1]) {
		at--
	}
	if at == topBids {
		return nil
	}
	bids = slices.Insert(bids, at, b)
	bids = bids[:min(len(bids), topBids)]
	t.bids.Set(slices.Values(bids))
	c.Emit(Top{c.Key, bids})
	return nil
}

// q19 has the ten best bids of each auction, again whenever they change.
func q19(q *query) {
	give(q, stream.Process(stream.KeyBy(q.bids(), func(b Bid) int64 { return b.Auction }), func(rt *stream.Runtime) *top {
		return &top{stream.ListState[Bid](rt, "top")}
	}), Top.line)
}
