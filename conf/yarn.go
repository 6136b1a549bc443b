package conf

import "time"

// Options of the YARN provider. As everywhere in this package a variable is named after its key, and the sentence in
// its declaration is its documentation.
var (
	YarnApplicationId = textOption("yarn.application.id",
		"YARN application of the session to attach to.").in(ScopeClient)
	YarnApplicationName = textOption("yarn.application.name",
		"Name of the YARN application; unset, a name made from the deployment mode.")
	YarnApplicationType = textOption("yarn.application.type",
		"Type of the YARN application, by which it can be listed.").or("Weft").
		differs("Apache Flink", "it is not Flink; set it where tools filter by Flink's type")
	YarnApplicationQueue = textOption("yarn.application.queue",
		"YARN queue to submit to; unset, the queue YARN chooses for the user.")
	YarnApplicationPriority = intOption("yarn.application.priority",
		"Priority of the YARN application; -1 leaves it to YARN.").or(-1).
		where("a whole number, -1 or more", atLeast(-1))
	YarnApplicationNodeLabel = textOption("yarn.application.node-label",
		"Node label expression for the application master and, unless overridden, the TaskManagers.")
	YarnTaskManagerNodeLabel = textOption("yarn.taskmanager.node-label",
		"Node label expression for TaskManager containers.")
	YarnTags = textOption("yarn.tags",
		"Comma-separated tags of the YARN application.").or("")
	YarnApplicationAttempts = positiveOption("yarn.application-attempts",
		"Attempts of the application master, capped by the cluster; unset, 1, or 2 with high availability.")
	YarnApplicationAttemptFailuresValidityInterval = declare("yarn.application-attempt-failures-validity-interval", int64Kind,
		"Window in which failed attempts count against yarn.application-attempts; -1 counts them for ever.").
		or(10000).unit("ms").where("a whole number, -1 or more", atLeast(int64(-1)))
	YarnApplicationMasterPort = portsOption("yarn.application-master.port",
		"Port, range or list of ports for the JobManager's RPC endpoint on YARN; 0 takes any free port.").
		or(PortRange{{0, 0}})
	YarnAppmasterVcores = positiveOption("yarn.appmaster.vcores",
		"Virtual cores of the application master's container.").or(1)
	YarnContainersVcores = intOption("yarn.containers.vcores",
		"Virtual cores of a TaskManager container; -1 takes taskmanager.cpu.cores, else the number of slots.").or(-1).
		where("-1 or a whole number of at least 1", func(n int) bool { return n == -1 || n >= 1 })
	YarnHeartbeatInterval = positiveOption("yarn.heartbeat.interval",
		"Interval of the application master's heartbeats to YARN while nothing is asked for.").or(5).unit("s").
		older("yarn.heartbeat-delay")
	YarnHeartbeatContainerRequestInterval = durationOption("yarn.heartbeat.container-request-interval",
		"Interval of the application master's heartbeats to YARN while containers are asked for.").
		or(100*time.Millisecond).
		differs("500 ms", "containers arrive with a heartbeat, so this is the wait for them; 10 small calls a second, only while asking, are cheap")
	YarnStagingDirectory = textOption("yarn.staging-directory",
		"Directory for uploaded files; unset, .weft in the user's home directory of the default file system.")
	YarnFileReplication = intOption("yarn.file-replication",
		"Replication of uploaded files; -1 takes the file system's default.").or(-1).
		where("-1 or a whole number of at least 1", func(n int) bool { return n == -1 || n >= 1 })
	YarnShipFiles = listOption("yarn.ship-files",
		"Further files and directories, local or remote, to place in every container's working directory.").
		older("yarn.ship-directories")
	YarnShipArchives = listOption("yarn.ship-archives",
		"Archives to unpack in every container's working directory.")
	YarnPropertiesFileLocation = textOption("yarn.properties-file.location",
		"Directory of the file that remembers the user's session; unset, the directory for temporary files.").in(ScopeClient)
	YarnViewAcls = textOption("yarn.view.acls",
		"Who may view the application: users, a space, groups; or *.")
	YarnModifyAcls = textOption("yarn.modify.acls",
		"Who may modify the application: users, a space, groups; or *.")
	YarnSecurityKerberosShipLocalKeytab = boolOption("yarn.security.kerberos.ship-local-keytab",
		"Whether the keytab is uploaded; false if it is installed on every node.").or(true)
	YarnSecurityKerberosLocalizedKeytabPath = textOption("yarn.security.kerberos.localized-keytab-path",
		"Path of the keytab within a container.").or("krb5.keytab")

	FlinkYarn = prefix("flink.yarn.",
		"A property for the YARN client: flink.yarn.x sets yarn.x over what yarn-site.xml says.")
	FlinkHadoop = prefix("flink.hadoop.",
		"A property for Hadoop's clients: flink.hadoop.x sets x over what core-site.xml and hdfs-site.xml say.")
	ContainerizedMasterEnv = prefix("containerized.master.env.",
		"An environment variable of the JobManager's container, its name kept as written.")
	ContainerizedTaskManagerEnv = prefix("containerized.taskmanager.env.",
		"An environment variable of every TaskManager container, its name kept as written.")
)
