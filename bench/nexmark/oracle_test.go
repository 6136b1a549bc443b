package nexmark

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"
)

// oracles are the queries as plain loops over all events. They share nothing with the queries but the format of a line.
var oracles = map[string]func(all []Event) []string{
	"q0": func(all []Event) []string {
		return eachBid(all, func(b Bid) string { return bidLine(b) })
	},
	"q1": func(all []Event) []string {
		return eachBid(all, func(b Bid) string {
			return fmt.Sprintf("%d,%d,%d,%d,%s", b.Auction, b.Bidder, 908*b.Price, b.At, b.Extra)
		})
	},
	"q2": func(all []Event) []string {
		return eachBid(all, func(b Bid) string {
			if b.Auction/123*123 != b.Auction {
				return ""
			}
			return fmt.Sprintf("%d,%d", b.Auction, b.Price)
		})
	},
	"q3": oracle3, "q4": oracle4, "q5": oracle5, "q6": oracle6, "q7": oracle7, "q8": oracle8, "q9": oracle9, "q11": oracle11,
	"q13": func(all []Event) []string {
		return eachBid(all, func(b Bid) string {
			return fmt.Sprintf("%d,%d,%d,%d,value-%d", b.Auction, b.Bidder, b.Price, b.At, b.Auction%10000)
		})
	},
	"q14": oracle14,
	"q15": func(all []Event) []string { return oracleStatistics(all, func(Bid) string { return "" }) },
	"q16": func(all []Event) []string { return oracleStatistics(all, func(b Bid) string { return b.Channel }) },
	"q17": oracle17, "q18": oracle18, "q19": oracle19, "q20": oracle20, "q21": oracle21,
	"q22": func(all []Event) []string {
		return eachBid(all, func(b Bid) string {
			parts := strings.Split(b.URL, "/")
			return fmt.Sprintf("%d,%d,%d,%s,%s,%s,%s", b.Auction, b.Bidder, b.Price, b.Channel, parts[3], parts[4], parts[5])
		})
	},
}

func eachBid(all []Event, line func(Bid) string) (lines []string) {
	for _, e := range all {
		if e.Kind == IsBid {
			if l := line(e.Bid); l != "" {
				lines = append(lines, l)
			}
		}
	}
	return lines
}

func bidsOf(all []Event) (bids []Bid) {
	for _, e := range all {
		if e.Kind == IsBid {
			bids = append(bids, e.Bid)
		}
	}
	return bids
}

func auctionsOf(all []Event) (auctions []Auction) {
	for _, e := range all {
		if e.Kind == IsAuction {
			auctions = append(auctions, e.Auction)
		}
	}
	return auctions
}

func oracle3(all []Event) (lines []string) {
	for _, p := range all {
		if p.Kind != IsPerson || !strings.Contains("OR ID CA", p.Person.State) {
			continue
		}
		for _, a := range auctionsOf(all) {
			if a.Seller == p.Person.ID && a.Category == 10 {
				lines = append(lines, fmt.Sprintf("%s,%s,%s,%d", p.Person.Name, p.Person.City, p.Person.State, a.ID))
			}
		}
	}
	return lines
}

// winners are the auctions that had a bid in time, with the best.
func winners(all []Event) (won []WinningBid) {
	of := map[int64][]Bid{}
	for _, b := range bidsOf(all) {
		of[b.Auction] = append(of[b.Auction], b)
	}
	for _, a := range auctionsOf(all) {
		var in []Bid
		for _, b := range of[a.ID] {
			if a.At <= b.At && b.At <= a.Expires {
				in = append(in, b)
			}
		}
		sort.Slice(in, func(i, j int) bool {
			switch {
			case in[i].Price != in[j].Price:
				return in[i].Price > in[j].Price
			case in[i].At != in[j].At:
				return in[i].At < in[j].At
			}
			return in[i].Bidder < in[j].Bidder
		})
		if len(in) > 0 {
			won = append(won, WinningBid{a, in[0]})
		}
	}
	return won
}

func oracle4(all []Event) (lines []string) {
	for c := int64(10); c < 15; c++ {
		var sum, n int64
		for _, w := range winners(all) {
			if w.Auction.Category == c {
				sum, n = sum+w.Bid.Price, n+1
			}
		}
		if n > 0 {
			lines = append(lines, fmt.Sprintf("%d\t%d/%d", c, sum, n))
		}
	}
	return lines
}

func oracle5(all []Event) (lines []string) {
	counts := map[int64]map[int64]int{} // by window start and auction
	for _, b := range bidsOf(all) {
		for start := int64(b.At) / 2000 * 2000; start > int64(b.At)-10_000; start -= 2000 {
			if counts[start] == nil {
				counts[start] = map[int64]int{}
			}
			counts[start][b.Auction]++
		}
	}
	for start, of := range counts {
		most := 0
		for _, n := range of {
			most = max(most, n)
		}
		for auction, n := range of {
			if n == most {
				lines = append(lines, fmt.Sprintf("%d,%d,%d,%d", auction, n, start, start+10_000))
			}
		}
	}
	return lines
}

func oracle6(all []Event) (lines []string) {
	won := winners(all)
	sort.Slice(won, func(i, j int) bool {
		if won[i].Auction.Expires != won[j].Auction.Expires {
			return won[i].Auction.Expires < won[j].Auction.Expires
		}
		return won[i].Auction.ID < won[j].Auction.ID
	})
	prices := map[int64][]int64{}
	for _, w := range won {
		seller := w.Auction.Seller
		prices[seller] = append(prices[seller], w.Bid.Price)
		var sum, n int64
		for i := len(prices[seller]) - 1; i >= 0 && n < 10; i-- {
			sum, n = sum+prices[seller][i], n+1
		}
		lines = append(lines, fmt.Sprintf("%d,%d,%d", seller, sum, n))
	}
	return lines
}

func oracle7(all []Event) (lines []string) {
	best := map[int64]int64{}
	for _, b := range bidsOf(all) {
		w := int64(b.At) / 10_000
		best[w] = max(best[w], b.Price)
	}
	return eachBid(all, func(b Bid) string {
		if b.Price < best[int64(b.At)/10_000] {
			return ""
		}
		return bidLine(b)
	})
}

func oracle8(all []Event) (lines []string) {
	for _, p := range all {
		if p.Kind != IsPerson {
			continue
		}
		for _, a := range auctionsOf(all) {
			if a.Seller == p.Person.ID && a.At/10_000 == p.Person.At/10_000 {
				lines = append(lines, fmt.Sprintf("%d,%s,%d", p.Person.ID, p.Person.Name, a.ID))
			}
		}
	}
	return lines
}

func oracle9(all []Event) (lines []string) {
	for _, w := range winners(all) {
		lines = append(lines, fmt.Sprintf("%d,%d,%d,%d,%d", w.Auction.ID, w.Auction.Expires, w.Bid.Bidder, w.Bid.Price, w.Bid.At))
	}
	return lines
}

func oracle11(all []Event) (lines []string) {
	times := map[int64][]int64{}
	for _, b := range bidsOf(all) {
		times[b.Bidder] = append(times[b.Bidder], int64(b.At))
	}
	for bidder, ts := range times {
		sort.Slice(ts, func(i, j int) bool { return ts[i] < ts[j] })
		for from := 0; from < len(ts); {
			to := from + 1
			for to < len(ts) && ts[to]-ts[to-1] <= 10_000 { // windows that touch are one, as in Flink
				to++
			}
			lines = append(lines, fmt.Sprintf("%d,%d,%d,%d", bidder, to-from, ts[from], ts[to-1]+10_000))
			from = to
		}
	}
	return lines
}

func oracle14(all []Event) []string {
	return eachBid(all, func(b Bid) string {
		price := float64(b.Price) * 0.908
		if price <= 1_000_000 || price >= 50_000_000 {
			return ""
		}
		of := "otherTime"
		switch hour := time.UnixMilli(int64(b.At)).UTC().Hour(); hour {
		case 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18:
			of = "dayTime"
		case 0, 1, 2, 3, 4, 5, 6, 20, 21, 22, 23:
			of = "nightTime"
		}
		cs := len(b.Extra) - len(strings.ReplaceAll(b.Extra, "c", ""))
		return fmt.Sprintf("%d,%d,%d,%s,%d,%s,%d", b.Auction, b.Bidder, 908*b.Price, of, b.At, b.Extra, cs)
	})
}

func oracleStatistics(all []Event, channel func(Bid) string) (lines []string) {
	type group struct {
		bids              [4]int
		bidders, auctions [4]map[int64]bool
	}
	groups := map[string]*group{}
	for _, b := range bidsOf(all) {
		key := channel(b) + " " + time.UnixMilli(int64(b.At)).UTC().Format("2006-01-02")
		g := groups[key]
		if g == nil {
			g = &group{}
			for i := range 4 {
				g.bidders[i], g.auctions[i] = map[int64]bool{}, map[int64]bool{}
			}
			groups[key] = g
		}
		r := 2
		if b.Price < 10_000 {
			r = 0
		} else if b.Price < 1_000_000 {
			r = 1
		}
		for _, i := range []int{r, 3} {
			g.bids[i]++
			g.bidders[i][b.Bidder], g.auctions[i][b.Auction] = true, true
		}
	}
	sizes := func(sets [4]map[int64]bool) [4]int {
		return [4]int{len(sets[0]), len(sets[1]), len(sets[2]), len(sets[3])}
	}
	for key, g := range groups {
		lines = append(lines, fmt.Sprintf("%s\t%v,%v,%v", key, g.bids, sizes(g.bidders), sizes(g.auctions)))
	}
	return lines
}

func oracle17(all []Event) (lines []string) {
	prices := map[string][]int64{}
	for _, b := range bidsOf(all) {
		key := fmt.Sprintf("%d %s", b.Auction, time.UnixMilli(int64(b.At)).UTC().Format("2006-01-02"))
		prices[key] = append(prices[key], b.Price)
	}
	for key, of := range prices {
		sort.Slice(of, func(i, j int) bool { return of[i] < of[j] })
		var ranks [3]int
		var sum int64
		for _, p := range of {
			sum += p
			switch {
			case p >= 1_000_000:
				ranks[2]++
			case p >= 10_000:
				ranks[1]++
			default:
				ranks[0]++
			}
		}
		lines = append(lines, fmt.Sprintf("%s\t%d,%v,%d,%d,%d,%d", key, len(of), ranks, of[0], of[len(of)-1], sum/int64(len(of)), sum))
	}
	return lines
}

func oracle18(all []Event) (lines []string) {
	last := map[string]Bid{}
	for _, b := range bidsOf(all) {
		key := fmt.Sprintf("%d %d", b.Bidder, b.Auction)
		if l, ok := last[key]; !ok || b.At > l.At || b.At == l.At && b.Price > l.Price {
			last[key] = b
		}
	}
	for key, b := range last {
		lines = append(lines, key+"\t"+bidLine(b))
	}
	return lines
}

func oracle19(all []Event) (lines []string) {
	of := map[int64][]Bid{}
	for _, b := range bidsOf(all) {
		of[b.Auction] = append(of[b.Auction], b)
	}
	for auction, bids := range of {
		sort.Slice(bids, func(i, j int) bool {
			switch {
			case bids[i].Price != bids[j].Price:
				return bids[i].Price > bids[j].Price
			case bids[i].At != bids[j].At:
				return bids[i].At < bids[j].At
			}
			return bids[i].Bidder < bids[j].Bidder
		})
		line := strconv.FormatInt(auction, 10) + "\t"
		for i, b := range bids {
			if i == 10 {
				break
			}
			line += fmt.Sprintf("%d/%d/%d,", b.Price, b.At, b.Bidder)
		}
		lines = append(lines, line)
	}
	return lines
}

func oracle20(all []Event) (lines []string) {
	of := map[int64]Auction{}
	for _, a := range auctionsOf(all) {
		if a.Category == 10 {
			of[a.ID] = a
		}
	}
	return eachBid(all, func(b Bid) string {
		a, ok := of[b.Auction]
		if !ok {
			return ""
		}
		return fmt.Sprintf("%s;%d,%s,%d,%d,%d", bidLine(b), a.ID, a.ItemName, a.InitialBid, a.Seller, a.Expires)
	})
}

func oracle21(all []Event) []string {
	return eachBid(all, func(b Bid) string {
		id, ok := map[string]string{"Apple": "0", "Google": "1", "Facebook": "2", "Baidu": "3"}[b.Channel]
		if !ok {
			_, id, ok = strings.Cut(b.URL, "&channel_id=")
		}
		if !ok {
			return ""
		}
		return fmt.Sprintf("%d,%d,%d,%s,%s", b.Auction, b.Bidder, b.Price, b.Channel, id)
	})
}
