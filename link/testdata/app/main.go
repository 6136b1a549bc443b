// Command app is an application as ReadExecutable sees one: it uses a link.
package main

import (
	"fmt"

	"github.com/weftstream/weft/link"
)

func main() { fmt.Println(link.ThisVersion()) }
