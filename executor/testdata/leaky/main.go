// Command leaky is an application that keeps as many MiB as its argument says, and then ends with exit status 3.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"

	"github.com/weftstream/weft/link"
)

var kept [][]byte

func main() {
	c, err := link.ConnectDriver(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	n, err := strconv.Atoi(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for range n {
		b := make([]byte, 1<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		kept = append(kept, b)
	}
	c.Close()
	os.Exit(3)
}
