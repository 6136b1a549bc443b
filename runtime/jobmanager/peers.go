package jobmanager

import (
	"fmt"
	"sync"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/runtime/jobmaster"
	"github.com/weftstream/weft/runtime/rpc"
	"github.com/weftstream/weft/runtime/rpc/rpcpb"
)

type jobID = graph.JobID

// peers are the TaskManagers' connections by resource id.
type peers struct {
	mu   sync.Mutex
	byID map[string]peer
}

type peer struct {
	conn rpc.Peer
	loc  jobmaster.Location
}

func (p *peers) add(conn rpc.Peer, loc jobmaster.Location) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.byID[loc.ResourceID] = peer{conn, loc}
}

// remove says whether conn was the TaskManager's present connection.
func (p *peers) remove(conn rpc.Peer) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byID[conn.ResourceID()].conn != conn {
		return false
	}
	delete(p.byID, conn.ResourceID())
	return true
}

func (p *peers) location(conn rpc.Peer) (jobmaster.Location, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	x := p.byID[conn.ResourceID()]
	return x.loc, x.conn == conn
}

func (p *peers) find(resourceID string) rpc.Peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.byID[resourceID].conn
}

// Send queues a message to a TaskManager; it never waits.
func (p *peers) Send(resourceID string, m *rpcpb.ToTaskManager) error {
	if conn := p.find(resourceID); conn != nil {
		return conn.Send(m)
	}
	return fmt.Errorf("send to TaskManager %s: it isn't connected", resourceID)
}

// Close ends a TaskManager's connection.
func (p *peers) Close(resourceID, reason string) {
	if conn := p.find(resourceID); conn != nil {
		conn.Close(reason)
	}
}

// shutdown tells all TaskManagers to end.
func (p *peers) shutdown(reason string) {
	p.mu.Lock()
	var all []rpc.Peer
	for _, x := range p.byID {
		all = append(all, x.conn)
	}
	p.mu.Unlock()
	for _, conn := range all {
		_ = conn.Send(&rpcpb.ToTaskManager{Message: &rpcpb.ToTaskManager_Shutdown{Shutdown: &rpcpb.Shutdown{Reason: reason}}})
	}
}
