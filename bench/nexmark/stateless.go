package nexmark

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/weftstream/weft/connector/file"
	"github.com/weftstream/weft/stream"
)

func bidLine(b Bid) string {
	return fmt.Sprintf("%d,%d,%d,%s,%s,%d,%s", b.Auction, b.Bidder, b.Price, b.Channel, b.URL, b.At, b.Extra)
}

// q0 passes the bids through.
func q0(q *query) { give(q, q.bids(), bidLine) }

// euros is a price in dollars times 0.908, in thousandths.
func euros(price int64) int64 { return price * 908 }

// PricedBid is a bid with its price in thousandths of a euro.
type PricedBid struct {
	Auction, Bidder, Price int64
	At                     stream.Time
	Extra                  string
}

// q1 converts prices to euros.
func q1(q *query) {
	priced := stream.Map(q.bids(), func(b Bid) PricedBid { return PricedBid{b.Auction, b.Bidder, euros(b.Price), b.At, b.Extra} })
	give(q, priced, func(b PricedBid) string {
		return fmt.Sprintf("%d,%d,%d,%d,%s", b.Auction, b.Bidder, b.Price, b.At, b.Extra)
	})
}

// AuctionPrice is a price that was bid in an auction.
type AuctionPrice struct{ Auction, Price int64 }

// q2 takes the bids of every 123rd auction.
func q2(q *query) {
	some := q.bids().Filter(func(b Bid) bool { return b.Auction%123 == 0 })
	prices := stream.Map(some, func(b Bid) AuctionPrice { return AuctionPrice{b.Auction, b.Price} })
	give(q, prices, func(p AuctionPrice) string { return fmt.Sprintf("%d,%d", p.Auction, p.Price) })
}

// q10 writes the bids as CSV, a directory for each day and in it one for each minute.
func q10(q *query) {
	q.bids().To(file.CSV[Bid](q.Dir).PartSuffix(".csv").Bucket(func(b Bid) string {
		return time.UnixMilli(int64(b.At)).UTC().Format("dt=2006-01-02/hm=15-04")
	}))
}

// sideInput is what q13 joins with: the reference reads the lines "key,value-key" of a file of this size.
const sideInput = 10_000

// SidedBid is a bid with a value of the side input.
type SidedBid struct {
	Auction, Bidder, Price int64
	At                     stream.Time
	Value                  string
}

// q13 looks a value up for each bid in a table that doesn't change.
func q13(q *query) {
	table := map[int64]string{}
	for i := range int64(sideInput) {
		table[i] = fmt.Sprintf("value-%d", i)
	}
	joined := stream.FlatMap(q.bids(), func(b Bid, emit func(SidedBid)) {
		if v, ok := table[b.Auction%sideInput]; ok {
			emit(SidedBid{b.Auction, b.Bidder, b.Price, b.At, v})
		}
	})
	give(q, joined, func(b SidedBid) string {
		return fmt.Sprintf("%d,%d,%d,%d,%s", b.Auction, b.Bidder, b.Price, b.At, b.Value)
	})
}

// TimedBid is a bid with its price in thousandths of a euro, the time of day, and how often its Extra has a c.
type TimedBid struct {
	Auction, Bidder, Price int64
	TimeOfDay              string
	At                     stream.Time
	Extra                  string
	Cs                     int64
}

// q14 computes with every bid of a price in a range.
func q14(q *query) {
	some := q.bids().Filter(func(b Bid) bool { return euros(b.Price) > 1_000_000_000 && euros(b.Price) < 50_000_000_000 })
	timed := stream.Map(some, func(b Bid) TimedBid {
		return TimedBid{b.Auction, b.Bidder, euros(b.Price), timeOfDay(b.At), b.At, b.Extra, int64(strings.Count(b.Extra, "c"))}
	})
	give(q, timed, func(b TimedBid) string {
		return fmt.Sprintf("%d,%d,%d,%s,%d,%s,%d", b.Auction, b.Bidder, b.Price, b.TimeOfDay, b.At, b.Extra, b.Cs)
	})
}

func timeOfDay(at stream.Time) string {
	switch hour := time.UnixMilli(int64(at)).UTC().Hour(); {
	case hour >= 8 && hour <= 18:
		return "dayTime"
	case hour <= 6 || hour >= 20:
		return "nightTime"
	}
	return "otherTime"
}

// ChannelBid is a bid with the number of its channel.
type ChannelBid struct {
	Auction, Bidder, Price int64
	Channel, ID            string
}

var channelInURL = regexp.MustCompile(`(?:&|^)channel_id=([^&]*)`)

// q21 finds the number of each bid's channel, by its name or in the address; bids without one are left out.
func q21(q *query) {
	found := stream.FlatMap(q.bids(), func(b Bid, emit func(ChannelBid)) {
		if id := channelID(b.Channel, b.URL); id != "" {
			emit(ChannelBid{b.Auction, b.Bidder, b.Price, b.Channel, id})
		}
	})
	give(q, found, func(b ChannelBid) string {
		return fmt.Sprintf("%d,%d,%d,%s,%s", b.Auction, b.Bidder, b.Price, b.Channel, b.ID)
	})
}

func channelID(channel, url string) string {
	switch strings.ToLower(channel) {
	case "apple":
		return "0"
	case "google":
		return "1"
	case "facebook":
		return "2"
	case "baidu":
		return "3"
	}
	if m := channelInURL.FindStringSubmatch(url); m != nil {
		return m[1]
	}
	return ""
}

// DirBid is a bid with the first three directories of its address.
type DirBid struct {
	Auction, Bidder, Price int64
	Channel                string
	Dir1, Dir2, Dir3       string
}

// q22 splits the addresses.
func q22(q *query) {
	split := stream.Map(q.bids(), func(b Bid) DirBid {
		d := DirBid{Auction: b.Auction, Bidder: b.Bidder, Price: b.Price, Channel: b.Channel}
		_, rest, _ := strings.Cut(b.URL, "//")
		_, rest, _ = strings.Cut(rest, "/")
		d.Dir1, rest, _ = strings.Cut(rest, "/")
		d.Dir2, rest, _ = strings.Cut(rest, "/")
		d.Dir3, _, _ = strings.Cut(rest, "/")
		return d
	})
	give(q, split, func(b DirBid) string {
		return fmt.Sprintf("%d,%d,%d,%s,%s,%s,%s", b.Auction, b.Bidder, b.Price, b.Channel, b.Dir1, b.Dir2, b.Dir3)
	})
}
