package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/weftstream/weft/hadoop"
	"github.com/weftstream/weft/hadoop/records"
	"github.com/weftstream/weft/yarn/amrm"
	"github.com/weftstream/weft/yarn/nm"
)

// master is the ApplicationMaster: it returns when there is a file stop, and all its goroutines have ended.
func master(ctx context.Context, o options) (err error) {
	credentials, err := hadoop.ReadCredentialsFile(os.Getenv("HADOOP_TOKEN_FILE_LOCATION"))
	if err != nil {
		return err
	}
	token, ok := credentials.TokenOfKind(hadoop.KindAMRMToken)
	if !ok {
		return errors.New("YARN gave no AMRMToken")
	}
	client, err := amrm.NewClient(amrm.ClientConfig{Addresses: strings.Split(o.schedulers, ","), Token: token})
	if err != nil {
		return err
	}
	defer client.Close()
	pool := nm.NewPool(nm.Config{})
	defer pool.Close()
	var running sync.WaitGroup
	defer running.Wait()
	session, err := amrm.NewSession(amrm.SessionConfig{Client: client, OnEvent: func(e amrm.Event) {
		switch e := e.(type) {
		case amrm.NMTokensReceived:
			pool.SetTokens(e.Tokens...)
		case amrm.Allocated:
			for _, c := range e.Containers {
				running.Go(func() {
					if err := start(ctx, pool, c, o.marker); err != nil {
						fmt.Fprintln(os.Stderr, "floor:", err)
					}
				})
			}
		}
	}})
	if err != nil {
		return err
	}
	want := amrm.Want{Count: o.containers, Priority: 1, Capability: records.Resource{MemoryMB: o.memory, VCores: 1}}
	for host := range strings.SplitSeq(o.nodes, ",") {
		want.Spread = append(want.Spread, amrm.NodeHost{Host: host})
	}
	err = session.SetWants([]amrm.Want{want})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	running.Go(func() {
		defer cancel()
		if err := session.Run(ctx); err != nil && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "floor:", err)
		}
	})
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if _, err := os.Stat(filepath.Join(o.marker, "stop")); err == nil {
			return session.Finish(ctx, records.FinalSucceeded, "", "")
		}
	}
}

// start starts a container that says when it began, and sleeps.
func start(ctx context.Context, pool *nm.Pool, c records.Container, marker string) error {
	return pool.StartContainer(ctx, nm.StartRequest{Container: c, Launch: records.LaunchContext{
		Command: fmt.Sprintf("date +%%s%%N > '%s/%s'; exec sleep 600", marker, c.ID)}})
}
