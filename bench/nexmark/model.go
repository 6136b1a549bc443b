package nexmark

import "github.com/weftstream/weft/stream"

// Person is somebody who sells or bids.
type Person struct {
	ID                                   int64
	Name, Email, CreditCard, City, State string
	At                                   stream.Time
	Extra                                string
}

// Auction is something for sale.
type Auction struct {
	ID                    int64
	ItemName, Description string
	InitialBid, Reserve   int64
	At, Expires           stream.Time
	Seller, Category      int64
	Extra                 string
}

// Bid is an offer.
type Bid struct {
	Auction, Bidder, Price int64
	Channel, URL           string
	At                     stream.Time
	Extra                  string
}

// Kind says what an Event is.
type Kind uint8

const (
	IsPerson Kind = iota
	IsAuction
	IsBid
)

// Event is one of the three; the others are zero.
type Event struct {
	Kind    Kind
	Person  Person
	Auction Auction
	Bid     Bid
}

// At is when it happened.
func (e *Event) At() stream.Time {
	switch e.Kind {
	case IsPerson:
		return e.Person.At
	case IsAuction:
		return e.Auction.At
	}
	return e.Bid.At
}
