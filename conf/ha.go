package conf

import "time"

// Options of high availability and heartbeats.
var (
	HighAvailabilityType = textOption("high-availability.type",
		"NONE, or the driver that elects the leader; on YARN any other value has the application attempt elect it.").or("NONE").
		older("high-availability", "recovery.mode")
	HighAvailabilityStorageDir = textOption("high-availability.storageDir",
		"Directory of what survives a JobManager; required with high availability.").
		older("high-availability.zookeeper.storageDir", "recovery.zookeeper.storageDir")
	HighAvailabilityClusterId = textOption("high-availability.cluster-id",
		"Name of the cluster within the storage directory; on YARN the application's id.").or("/default").
		older("high-availability.zookeeper.path.namespace", "recovery.zookeeper.path.namespace")
	HighAvailabilityJobManagerPort = portsOption("high-availability.jobmanager.port",
		"Port, range or list of ports for the JobManager's RPC endpoint with high availability.").or(PortRange{{0, 0}}).
		older("recovery.jobmanager.port")

	HeartbeatInterval = durationOption("heartbeat.interval",
		"Interval of heartbeats between JobManager and TaskManagers.").or(10 * time.Second)
	HeartbeatTimeout = durationOption("heartbeat.timeout",
		"Time of silence after which the other side is taken for dead; a broken connection is noticed at once.").or(50 * time.Second)
	HeartbeatRpcFailureThreshold = intOption("heartbeat.rpc-failure-threshold",
		"Consecutive failed calls after which the other side is taken for dead; -1 never does.").or(2).
		where("a whole number, -1 or more", atLeast(-1))
)

// HighAvailabilityEnabled says whether c asks for high availability.
func HighAvailabilityEnabled(c Configuration) bool {
	switch v := Get(c, HighAvailabilityType); v {
	case "", "NONE", "none", "None":
		return false
	default:
		return true
	}
}
