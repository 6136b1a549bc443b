package nexmark

import (
	"fmt"
	"math"
	"math/bits"
	"sync"

	"github.com/weftstream/weft/bench/gen"
	"github.com/weftstream/weft/stream"
)

// BaseTime is the event time of each generator's first event: 2015-07-15T00:00:00Z.
const BaseTime stream.Time = 1436918400000

// Of each 50 events the first is a person, the next three are auctions, and the others bids.
const (
	cycle    = 50
	auctions = 3
)

const (
	firstPerson, firstAuction, firstCategory = 1000, 1000, 10

	categories    = 5
	hotEvery      = 100 // the newest id that this divides is the hot one
	activePeople  = 1000
	leadPeople    = 10
	inFlight      = 100 // auctions that get bids, and how many begin while one is open
	leadAuctions  = 10
	channels      = 10000
	personBytes   = 200
	auctionBytes  = 500
	bidBytes      = 100
	extraPoolSize = 1 << 20
)

var (
	firstNames = []string{"Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter"}
	lastNames  = []string{"Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"}
	states     = []string{"AZ", "CA", "ID", "OR", "WA", "WY"}
	cities     = []string{"Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend", "Redmond", "Seattle", "Kent", "Cheyenne"}
	hotChannel = []string{"Google", "Facebook", "Baidu", "Apple"}
)

// pool is what Extra is cut from.
var pool = sync.OnceValue(func() string {
	r := gen.New(0)
	b := make([]byte, extraPoolSize)
	for i := range b {
		b[i] = 'a' + byte(r.Below(26))
	}
	return string(b)
})

// channelURLs are the addresses of the channels that aren't hot. Nine of ten carry the channel's number, its bits reversed.
var channelURLs = sync.OnceValue(func() []string {
	all := make([]string, channels)
	r := gen.New(1)
	for i := range all {
		all[i] = baseURL(&r)
		if r.Below(10) > 0 {
			all[i] += fmt.Sprintf("&channel_id=%d", abs(int32(bits.Reverse32(uint32(i)))))
		}
	}
	return all
})

var hotURLs = sync.OnceValue(func() []string {
	r := gen.New(2)
	var all []string
	for range hotChannel {
		all = append(all, baseURL(&r))
	}
	return all
})

func baseURL(r *gen.Rand) string {
	return "https://www.nexmark.com/" + word(r, 5, 5) + "/" + word(r, 5, 5) + "/" + word(r, 5, 5) + "/item.htm?query=1"
}

func abs(i int32) int64 { return max(int64(i), -int64(i)) }

// Generator makes the events of one of several generators.
type Generator struct {
	// First and End bound the numbers of its events: First is its first, and the one behind its last is End.
	First, End int64
	// Rate is its events per second of event time.
	Rate int64
}

// NewGenerator is the index-th of count generators that share events. Each runs at the full rate.
func NewGenerator(events, rate int64, index, count int) Generator {
	n, i, p := events, int64(index), int64(count)
	return Generator{First: n * i / p, End: n * (i + 1) / p, Rate: rate}
}

// Event fills *e with the event of a number.
func (g *Generator) Event(n int64, e *Event) {
	r := gen.New(int(n))
	r.Next() // neighbours have similar seeds
	at := BaseTime + stream.Time((n-g.First)*1000/g.Rate)
	*e = Event{}
	switch off := n % cycle; {
	case off == 0:
		e.Kind = IsPerson
		person(&r, n, at, &e.Person)
	case off <= auctions:
		e.Kind = IsAuction
		g.auction(&r, n, at, &e.Auction)
	default:
		e.Kind = IsBid
		bid(&r, n, at, &e.Bid)
	}
}

// lastPerson is the number, from 0, of the newest person at event n, and lastAuction that of the newest auction; -1 for none.
func lastPerson(n int64) int64 { return n / cycle }

func lastAuction(n int64) int64 {
	epoch, off := n/cycle, n%cycle
	if off < 1 {
		return epoch*auctions - 1
	}
	return epoch*auctions + min(off-1, auctions-1)
}

func person(r *gen.Rand, n int64, at stream.Time, p *Person) {
	p.ID, p.At = firstPerson+lastPerson(n), at
	p.Name = pick(r, firstNames) + " " + pick(r, lastNames)
	p.Email = word(r, 7, 7) + "@" + word(r, 5, 5) + ".com"
	p.CreditCard = fmt.Sprintf("%04d %04d %04d %04d", r.Below(10000), r.Below(10000), r.Below(10000), r.Below(10000))
	p.City, p.State = pick(r, cities), pick(r, states)
	p.Extra = extra(r, personBytes, 16+len(p.Name)+len(p.Email)+len(p.CreditCard)+len(p.City)+len(p.State))
}

func (g *Generator) auction(r *gen.Rand, n int64, at stream.Time, a *Auction) {
	a.ID, a.At, a.Category = firstAuction+lastAuction(n), at, firstCategory+int64(r.Below(categories))
	a.ItemName, a.Description = word(r, 3, 20), word(r, 3, 100)
	a.InitialBid = price(r)
	a.Reserve = a.InitialBid + price(r)
	horizon := uint64(inFlight*cycle/auctions*1000/g.Rate) + 1
	a.Expires = at + 1 + stream.Time(r.Below(2*horizon))
	a.Seller = firstPerson + somebody(r, n, 4, 0)
	a.Extra = extra(r, auctionBytes, 64+len(a.ItemName)+len(a.Description))
}

func bid(r *gen.Rand, n int64, at stream.Time, b *Bid) {
	newest := lastAuction(n)
	if r.Below(2) > 0 {
		b.Auction = firstAuction + newest/hotEvery*hotEvery
	} else {
		oldest := max(newest-inFlight, 0)
		b.Auction = firstAuction + oldest + int64(r.Below(uint64(newest-oldest+1+leadAuctions)))
	}
	b.Bidder, b.Price, b.At = firstPerson+somebody(r, n, 4, 1), price(r), at
	if r.Below(2) > 0 {
		i := r.Below(uint64(len(hotChannel)))
		b.Channel, b.URL = hotChannel[i], hotURLs()[i]
	} else {
		i := r.Below(channels)
		b.Channel, b.URL = fmt.Sprintf("channel-%d", i), channelURLs()[i]
	}
	b.Extra = extra(r, bidBytes, 32+len(b.Channel)+len(b.URL))
}

// somebody is a person's number: but for one time of coldEvery the hot one, else one of those that are active or about to be.
func somebody(r *gen.Rand, n int64, coldEvery uint64, hotOffset int64) int64 {
	newest := lastPerson(n)
	if r.Below(coldEvery) > 0 {
		return newest/hotEvery*hotEvery + hotOffset
	}
	active := min(newest, activePeople)
	return newest - active + int64(r.Below(uint64(active+leadPeople)))
}

// price is spread evenly over the orders of magnitude from 100 to 100 million.
func price(r *gen.Rand) int64 {
	u := float64(r.Next()>>11) / (1 << 53)
	return int64(math.Round(math.Pow(10, 6*u) * 100))
}

func pick(r *gen.Rand, from []string) string { return from[r.Below(uint64(len(from)))] }

// word is of shortest to longest letters, of which one of 13 is a space.
func word(r *gen.Rand, shortest, longest int) string {
	b := make([]byte, shortest+int(r.Below(uint64(longest-shortest+1))))
	for i := range b {
		b[i] = 'a' + byte(r.Below(26))
		if shortest < longest && r.Below(13) == 0 {
			b[i] = ' '
		}
	}
	return string(b)
}

// extra brings an event of so many bytes to the average size, give or take a fifth.
func extra(r *gen.Rand, average, have int) string {
	if have >= average {
		return ""
	}
	missing := average - have
	n := missing*4/5 + int(r.Below(uint64(missing*2/5+1)))
	from := int(r.Below(uint64(extraPoolSize - n)))
	return pool()[from : from+n]
}
