// Command plain is a Go program that isn't a Weft application.
package main

import "fmt"

func main() { fmt.Println("plain") }
