// Command floor is the least that can be done on YARN: a client that puts its own executable into HDFS (once) and
// submits it, and an ApplicationMaster that registers, asks for containers and starts a sleep in each, through the same
// packages as Weft's own. What it takes longer than that is Weft's.
//
//	floor -marker DIR -containers N submit
//
// Each container writes the time of its start, in Unix nanoseconds, to a file in the directory -marker; the application
// ends when there is a file stop. Directory and cluster are on one machine. The client reads HADOOP_CONF_DIR.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

type options struct {
	marker     string
	containers int
	memory     int64
	schedulers string
	nodes      string
}

func main() {
	var o options
	flag.StringVar(&o.marker, "marker", "", "directory for the times")
	flag.IntVar(&o.containers, "containers", 1, "containers to ask for")
	flag.Int64Var(&o.memory, "memory", 1024, "MB of each container, the ApplicationMaster's too")
	flag.StringVar(&o.schedulers, "schedulers", "", "scheduler addresses of the YARN ResourceManagers (in the container)")
	flag.StringVar(&o.nodes, "nodes", "", "nodes to spread the containers over (in the container)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch flag.Arg(0) {
	case "submit":
		err = submit(ctx, o)
	case "master":
		err = master(ctx, o)
	default:
		err = fmt.Errorf("what to do: submit or master, not %q", flag.Arg(0))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		stop()
		os.Exit(1)
	}
}
