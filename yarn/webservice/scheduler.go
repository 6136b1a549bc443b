package webservice

import (
	"context"
	"fmt"
	"strings"

	"github.com/weftstream/weft/hadoop/records"
)

// Scheduler is the tree of queues, flattened.
type Scheduler struct {
	// Type is capacityScheduler, fairScheduler or fifoScheduler.
	Type string
	// Queues lists all queues below the root, parents before children.
	Queues []Queue
}

// Queue is one queue. Capacities are percentages of the parent's, the absolute
// ones of the cluster's; they and the limits are known for the capacity
// scheduler only and 0 otherwise.
type Queue struct {
	Name string // short name
	Path string // from the root, such as root.etl.night
	Leaf bool   // applications can be submitted to it
	// State is RUNNING, STOPPED or DRAINING; empty if the scheduler has none.
	State                string
	Capacity             float64
	UsedCapacity         float64
	MaxCapacity          float64
	AbsoluteCapacity     float64
	AbsoluteMaxCapacity  float64
	AbsoluteUsedCapacity float64
	NumActive            int // applications whose application master was started
	NumPending           int // applications that wait for that
	MaxApplications      int
	// AMLimit and AMUsed are the resources that application masters may use
	// and do use. UserAMLimit is the share of one user.
	AMLimit, AMUsed, UserAMLimit records.Resource
	Used                         records.Resource
}

// Leaf finds the leaf queue that a submission to name goes to: by its path,
// with or without "root.", or by a short name.
func (s Scheduler) Leaf(name string) (Queue, bool) {
	for _, match := range []func(Queue) bool{
		func(q Queue) bool { return q.Path == name },
		func(q Queue) bool { return q.Path == "root."+name },
		func(q Queue) bool { return q.Name == name },
	} {
		for _, q := range s.Queues {
			if q.Leaf && match(q) {
				return q, true
			}
		}
	}
	return Queue{}, false
}

// LeafPaths lists the paths of all leaf queues, for messages.
func (s Scheduler) LeafPaths() []string {
	var out []string
	for _, q := range s.Queues {
		if q.Leaf {
			out = append(out, q.Path)
		}
	}
	return out
}

type queueList struct {
	Queue List[queueJSON] `json:"queue"`
}

// queueJSON covers a queue of the capacity and of the fair scheduler; the root
// of the first is the scheduler's info itself.
type queueJSON struct {
	Type                 string     `json:"type"`
	QueueName            string     `json:"queueName"`
	QueuePath            string     `json:"queuePath"`
	State                string     `json:"state"`
	Capacity             float64    `json:"capacity"`
	UsedCapacity         float64    `json:"usedCapacity"`
	MaxCapacity          float64    `json:"maxCapacity"`
	AbsoluteCapacity     float64    `json:"absoluteCapacity"`
	AbsoluteMaxCapacity  float64    `json:"absoluteMaxCapacity"`
	AbsoluteUsedCapacity float64    `json:"absoluteUsedCapacity"`
	NumActive            int        `json:"numActiveApplications"`
	NumActiveFair        int        `json:"numActiveApps"`
	NumPending           int        `json:"numPendingApplications"`
	NumPendingFair       int        `json:"numPendingApps"`
	MaxApplications      int        `json:"maxApplications"`
	AMLimit              resource   `json:"AMResourceLimit"`
	AMUsed               resource   `json:"usedAMResource"`
	UserAMLimit          resource   `json:"userAMResourceLimit"`
	Used                 resource   `json:"resourcesUsed"`
	UsedFair             resource   `json:"usedResources"`
	Queues               *queueList `json:"queues"`
	ChildQueues          *queueList `json:"childQueues"`
	RootQueue            *queueJSON `json:"rootQueue"`
}

// Scheduler returns the queues of the cluster.
func (c *Client) Scheduler(ctx context.Context) (Scheduler, error) {
	var reply struct {
		Scheduler struct {
			Info queueJSON `json:"schedulerInfo"`
		} `json:"scheduler"`
	}
	if err := c.get(ctx, "/scheduler", nil, &reply); err != nil {
		return Scheduler{}, fmt.Errorf("get the scheduler's queues: %w", err)
	}
	info := reply.Scheduler.Info
	out := Scheduler{Type: info.Type}
	root := &info
	if info.RootQueue != nil {
		root = info.RootQueue
	}
	if info.Type == "fifoScheduler" {
		out.Queues = []Queue{{
			Name: "default", Path: "root.default", Leaf: true, State: info.State,
			Capacity: info.Capacity, UsedCapacity: info.UsedCapacity,
		}}
		return out, nil
	}
	for _, child := range root.children() {
		out.Queues = child.flatten("root", out.Queues)
	}
	return out, nil
}

func (q *queueJSON) children() []queueJSON {
	var out []queueJSON
	if q.Queues != nil {
		out = append(out, q.Queues.Queue...)
	}
	if q.ChildQueues != nil {
		out = append(out, q.ChildQueues.Queue...)
	}
	return out
}

func (q *queueJSON) flatten(parent string, out []Queue) []Queue {
	// The fair scheduler names queues by their path.
	name, path := q.QueueName, q.QueuePath
	if strings.HasPrefix(name, "root.") {
		path, name = name, name[strings.LastIndexByte(name, '.')+1:]
	}
	if path == "" {
		path = parent + "." + name
	}
	children := q.children()
	out = append(out, Queue{
		Name: name, Path: path, Leaf: len(children) == 0, State: q.State,
		Capacity: q.Capacity, UsedCapacity: q.UsedCapacity, MaxCapacity: q.MaxCapacity,
		AbsoluteCapacity:     q.AbsoluteCapacity,
		AbsoluteMaxCapacity:  q.AbsoluteMaxCapacity,
		AbsoluteUsedCapacity: q.AbsoluteUsedCapacity,
		NumActive:            q.NumActive + q.NumActiveFair,
		NumPending:           q.NumPending + q.NumPendingFair,
		MaxApplications:      q.MaxApplications,
		AMLimit:              q.AMLimit.record(),
		AMUsed:               q.AMUsed.record(),
		UserAMLimit:          q.UserAMLimit.record(),
		Used:                 q.Used.record().Add(q.UsedFair.record()),
	})
	for i := range children {
		out = children[i].flatten(path, out)
	}
	return out
}
