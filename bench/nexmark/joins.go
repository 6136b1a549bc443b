package nexmark

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/weftstream/weft/stream"
)

// LocalItem is an auction of somebody in some states.
type LocalItem struct {
	Name, City, State string
	Auction           int64
}

// localItems joins a seller with the auctions, whichever comes first.
type localItems struct {
	seller  *stream.Value[Person]
	waiting *stream.List[int64]
}

func newLocalItems(rt *stream.Runtime) *localItems {
	return &localItems{stream.ValueState[Person](rt, "seller"), stream.ListState[int64](rt, "waiting")}
}

func (l *localItems) Left(c *stream.Context[int64, LocalItem], a Auction) error {
	if p, ok := l.seller.Get(); ok {
		c.Emit(LocalItem{p.Name, p.City, p.State, a.ID})
	} else {
		l.waiting.Add(a.ID)
	}
	return nil
}

func (l *localItems) Right(c *stream.Context[int64, LocalItem], p Person) error {
	l.seller.Set(p)
	for id := range l.waiting.All() {
		c.Emit(LocalItem{p.Name, p.City, p.State, id})
	}
	l.waiting.Clear()
	return nil
}

// q3 has the auctions of category 10 whose sellers live in Oregon, Idaho or California.
func q3(q *query) {
	auctions := q.auctions().Filter(func(a Auction) bool { return a.Category == 10 })
	people := q.people().Filter(func(p Person) bool { return p.State == "OR" || p.State == "ID" || p.State == "CA" })
	items := stream.CoProcess(stream.KeyBy(auctions, func(a Auction) int64 { return a.Seller }),
		stream.KeyBy(people, func(p Person) int64 { return p.ID }), newLocalItems)
	give(q, items, func(i LocalItem) string { return fmt.Sprintf("%s,%s,%s,%d", i.Name, i.City, i.State, i.Auction) })
}

// WinningBid is the highest bid of an auction that has closed.
type WinningBid struct {
	Auction Auction
	Bid     Bid
}

// beats says whether a bid wins over another one: by its price, else the earlier one, else the lower bidder.
func beats(a, b *Bid) bool {
	return cmp.Or(-cmp.Compare(a.Price, b.Price), cmp.Compare(a.At, b.At), cmp.Compare(a.Bidder, b.Bidder)) < 0
}

// closing is an auction's state: bids wait until the auction is known, then the best is kept.
type closing struct {
	auction *stream.Value[Auction]
	early   *stream.List[Bid]
	best    *stream.Value[Bid]
	closed  *stream.Value[bool]
}

func newClosing(rt *stream.Runtime) *closing {
	return &closing{stream.ValueState[Auction](rt, "auction"), stream.ListState[Bid](rt, "early"), stream.ValueState[Bid](rt, "best"),
		stream.ValueState[bool](rt, "closed")}
}

func (s *closing) Left(c *stream.Context[int64, WinningBid], a Auction) error {
	s.auction.Set(a)
	c.EventTimer(a.Expires)
	for b := range s.early.All() {
		s.offer(&a, &b)
	}
	s.early.Clear()
	return nil
}

func (s *closing) Right(c *stream.Context[int64, WinningBid], b Bid) error {
	if closed, _ := s.closed.Get(); closed {
		return nil
	}
	if a, ok := s.auction.Get(); ok {
		s.offer(&a, &b)
	} else {
		s.early.Add(b)
	}
	return nil
}

func (s *closing) offer(a *Auction, b *Bid) {
	if b.At < a.At || b.At > a.Expires {
		return
	}
	if best, ok := s.best.Get(); !ok || beats(b, &best) {
		s.best.Set(*b)
	}
}

// OnTimer closes the auction.
func (s *closing) OnTimer(c *stream.Context[int64, WinningBid], at stream.Time) error {
	a, _ := s.auction.Get()
	if b, ok := s.best.Get(); ok {
		c.Emit(WinningBid{a, b})
	}
	s.auction.Clear()
	s.best.Clear()
	s.closed.Set(true)
	return nil
}

func (q *query) winning() stream.Stream[WinningBid] {
	return stream.CoProcess(stream.KeyBy(q.auctions(), func(a Auction) int64 { return a.ID }),
		stream.KeyBy(q.bids(), func(b Bid) int64 { return b.Auction }), newClosing).UID("winning")
}

// q9 has the winning bid of each auction.
func q9(q *query) {
	give(q, q.winning(), func(w WinningBid) string {
		return fmt.Sprintf("%d,%d,%d,%d,%d", w.Auction.ID, w.Auction.Expires, w.Bid.Bidder, w.Bid.Price, w.Bid.At)
	})
}

// Average is a category's or seller's.
type Average struct{ Of, Sum, N int64 }

func (a Average) line() string { return fmt.Sprintf("%d\t%d/%d", a.Of, a.Sum, a.N) }

// running is the average of all prices of a category so far.
type running struct{ avg *stream.Value[Average] }

func (r *running) Element(c *stream.Context[int64, Average], w WinningBid) error {
	r.avg.Update(func(a *Average) {
		a.Of = w.Auction.Category
		a.Sum += w.Bid.Price
		a.N++
	})
	a, _ := r.avg.Get()
	c.Emit(a)
	return nil
}

// q4 has the average winning price of each category, again whenever it changes.
func q4(q *query) {
	averages := stream.Process(stream.KeyBy(q.winning(), func(w WinningBid) int64 { return w.Auction.Category }),
		func(rt *stream.Runtime) *running { return &running{stream.ValueState[Average](rt, "average")} })
	give(q, averages, Average.line)
}

// lastSales is how many prices q6 averages.
const lastSales = 10

// sale is a price and its auction, which closed at a time.
type sale struct {
	At             stream.Time
	Auction, Price int64
}

// sales averages a seller's last prices in the order in which the auctions closed: they wait until no earlier one can come.
type sales struct{ pending, last *stream.List[sale] }

func newSales(rt *stream.Runtime) *sales {
	return &sales{stream.ListState[sale](rt, "pending"), stream.ListState[sale](rt, "last")}
}

func (s *sales) Element(c *stream.Context[int64, Average], w WinningBid) error {
	s.pending.Add(sale{w.Auction.Expires, w.Auction.ID, w.Bid.Price})
	c.EventTimer(w.Auction.Expires)
	return nil
}

func (s *sales) OnTimer(c *stream.Context[int64, Average], at stream.Time) error {
	var now, later []sale
	for p := range s.pending.All() {
		if p.At <= at {
			now = append(now, p)
		} else {
			later = append(later, p)
		}
	}
	slices.SortFunc(now, func(a, b sale) int { return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Auction, b.Auction)) })
	last := slices.Collect(s.last.All())
	for _, p := range now {
		last = append(last, p)
		last = last[max(0, len(last)-lastSales):]
		a := Average{Of: c.Key, N: int64(len(last))}
		for _, l := range last {
			a.Sum += l.Price
		}
		c.Emit(a)
	}
	s.pending.Set(slices.Values(later))
	s.last.Set(slices.Values(last))
	return nil
}

// q6 has the average price of each seller's last ten sales, with every sale.
func q6(q *query) {
	averages := stream.Process(stream.KeyBy(q.winning(), func(w WinningBid) int64 { return w.Auction.Seller }), newSales)
	give(q, averages, func(a Average) string { return fmt.Sprintf("%d,%d,%d", a.Of, a.Sum, a.N) })
}

// expand joins bids with their auction, whichever comes first.
type expand struct {
	auction *stream.Value[Auction]
	early   *stream.List[Bid]
}

func newExpand(rt *stream.Runtime) *expand {
	return &expand{stream.ValueState[Auction](rt, "auction"), stream.ListState[Bid](rt, "early")}
}

func (e *expand) Left(c *stream.Context[int64, WinningBid], a Auction) error {
	e.auction.Set(a)
	for b := range e.early.All() {
		c.Emit(WinningBid{a, b})
	}
	e.early.Clear()
	return nil
}

func (e *expand) Right(c *stream.Context[int64, WinningBid], b Bid) error {
	if a, ok := e.auction.Get(); ok {
		c.Emit(WinningBid{a, b})
	} else {
		e.early.Add(b)
	}
	return nil
}

// q20 has the bids on auctions of category 10, with the auction.
func q20(q *query) {
	auctions := q.auctions().Filter(func(a Auction) bool { return a.Category == 10 })
	both := stream.CoProcess(stream.KeyBy(auctions, func(a Auction) int64 { return a.ID }), stream.KeyBy(q.bids(), func(b Bid) int64 { return b.Auction }), newExpand)
	give(q, both, func(w WinningBid) string {
		return fmt.Sprintf("%s;%d,%s,%d,%d,%d", bidLine(w.Bid), w.Auction.ID, w.Auction.ItemName, w.Auction.InitialBid, w.Auction.Seller, w.Auction.Expires)
	})
}
