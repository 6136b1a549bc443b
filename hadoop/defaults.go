package hadoop

// defaults are Hadoop 3.4's values (core-default, hdfs-default, yarn-default)
// of the keys that Weft reads. Addresses are not among them where Hadoop
// derives them from another key: see the address methods of Site.
var defaults = map[string]string{
	"fs.defaultFS":                                   "file:///",
	"hadoop.tmp.dir":                                 "/tmp/hadoop-${user.name}",
	"hadoop.security.authentication":                 "simple",
	"hadoop.rpc.protection":                          "authentication",
	"ipc.maximum.response.length":                    "134217728",
	"dfs.replication":                                "3",
	"dfs.blocksize":                                  "134217728",
	"dfs.namenode.rpc-address":                       "",
	"dfs.permissions.enabled":                        "true",
	"dfs.client.use.datanode.hostname":               "false",
	"yarn.resourcemanager.hostname":                  "0.0.0.0",
	"yarn.resourcemanager.ha.enabled":                "false",
	"yarn.http.policy":                               "HTTP_ONLY",
	"yarn.resourcemanager.am.max-attempts":           "2",
	"yarn.am.liveness-monitor.expiry-interval-ms":    "600000",
	"yarn.scheduler.minimum-allocation-mb":           "1024",
	"yarn.scheduler.maximum-allocation-mb":           "8192",
	"yarn.scheduler.minimum-allocation-vcores":       "1",
	"yarn.scheduler.maximum-allocation-vcores":       "4",
	"yarn.nodemanager.remote-app-log-dir":            "/tmp/logs",
	"yarn.nodemanager.remote-app-log-dir-suffix":     "logs",
	"yarn.log-aggregation-enable":                    "false",
	"yarn.acl.enable":                                "false",
	"yarn.resourcemanager.cluster-id":                "",
	"yarn.client.failover-retries":                   "0",
	"yarn.resourcemanager.connect.max-wait.ms":       "900000",
	"yarn.resourcemanager.connect.retry-interval.ms": "30000",
}
