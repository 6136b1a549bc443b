// Command plain is a Go program that isn't an application.
package main

func main() { println("plain") }
