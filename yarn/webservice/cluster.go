package webservice

import (
	"context"
	"fmt"
	"net/url"
	"strings"
)

// ClusterInfo describes the YARN ResourceManager.
type ClusterInfo struct {
	ID            int64  `json:"id"`
	StartedOn     int64  `json:"startedOn"` // ms since the epoch
	State         string `json:"state"`
	HAState       string `json:"haState"`
	HadoopVersion string `json:"hadoopVersion"`
	RMVersion     string `json:"resourceManagerVersion"`
}

// ClusterInfo returns the version and state of the YARN ResourceManager.
func (c *Client) ClusterInfo(ctx context.Context) (ClusterInfo, error) {
	var reply struct {
		Info ClusterInfo `json:"clusterInfo"`
	}
	if err := c.get(ctx, "/info", nil, &reply); err != nil {
		return ClusterInfo{}, fmt.Errorf("get cluster info: %w", err)
	}
	return reply.Info, nil
}

// ClusterMetrics are the sums over the cluster.
type ClusterMetrics struct {
	AppsPending           int   `json:"appsPending"`
	AppsRunning           int   `json:"appsRunning"`
	ContainersPending     int   `json:"containersPending"`
	AvailableMB           int64 `json:"availableMB"`
	TotalMB               int64 `json:"totalMB"`
	AvailableVirtualCores int64 `json:"availableVirtualCores"`
	TotalVirtualCores     int64 `json:"totalVirtualCores"`
	TotalNodes            int   `json:"totalNodes"`
	ActiveNodes           int   `json:"activeNodes"`
	UnhealthyNodes        int   `json:"unhealthyNodes"`
	LostNodes             int   `json:"lostNodes"`
}

// ClusterMetrics returns the sums over the cluster.
func (c *Client) ClusterMetrics(ctx context.Context) (ClusterMetrics, error) {
	var reply struct {
		Metrics ClusterMetrics `json:"clusterMetrics"`
	}
	if err := c.get(ctx, "/metrics", nil, &reply); err != nil {
		return ClusterMetrics{}, fmt.Errorf("get cluster metrics: %w", err)
	}
	return reply.Metrics, nil
}

// Node is one NodeManager.
type Node struct {
	ID                    string `json:"id"`
	Rack                  string `json:"rack"`
	State                 string `json:"state"` // RUNNING, UNHEALTHY, LOST, …
	Host                  string `json:"nodeHostName"`
	HTTPAddress           string `json:"nodeHTTPAddress"`
	Version               string `json:"version"`
	HealthReport          string `json:"healthReport"`
	NumContainers         int    `json:"numContainers"`
	UsedMemoryMB          int64  `json:"usedMemoryMB"`
	AvailMemoryMB         int64  `json:"availMemoryMB"`
	UsedVirtualCores      int64  `json:"usedVirtualCores"`
	AvailableVirtualCores int64  `json:"availableVirtualCores"`
	// Labels of the node; none is the default partition.
	Labels List[string] `json:"nodeLabels"`
}

// Nodes lists the NodeManagers in the given states, or all active ones.
func (c *Client) Nodes(ctx context.Context, states ...string) ([]Node, error) {
	var query url.Values
	if len(states) > 0 {
		query = url.Values{"states": {strings.Join(states, ",")}}
	}
	var reply struct {
		Nodes struct {
			Node List[Node] `json:"node"`
		} `json:"nodes"`
	}
	if err := c.get(ctx, "/nodes", query, &reply); err != nil {
		return nil, fmt.Errorf("list nodes: %w", err)
	}
	return reply.Nodes.Node, nil
}
