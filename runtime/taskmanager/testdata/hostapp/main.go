// Command hostapp is apptest's application as an executable of its own: without the race detector, whose memory doesn't go with
// a limit.
package main

import "github.com/weftstream/weft/runtime/taskmanager/internal/apptest"

func main() { apptest.Main() }
