package conf

import "time"

// Options of the TaskManager and of the tasks it hosts.
var (
	TaskManagerNumberOfTaskSlots = positiveOption("taskmanager.numberOfTaskSlots",
		"Task slots of a TaskManager.").or(1)
	TaskManagerCpuCores = numberOption("taskmanager.cpu.cores",
		"Processor cores of a TaskManager; unset, one for each slot.")
	TaskManagerMemoryProcessSize = memoryOption("taskmanager.memory.process.size",
		"Memory of a TaskManager's container: the TaskManager process and the task hosts of all its slots.").or(512*Mebibyte).
		older("taskmanager.memory.flink.size", "taskmanager.heap.size").
		differs("none in code, 1728m in the shipped config.yaml", "no metaspace, JVM overhead or framework off-heap memory to reserve")
	TaskManagerMemoryFrameworkHeapSize = memoryOption("taskmanager.memory.framework.heap.size",
		"Memory of the TaskManager process itself; the rest of the container is divided among the slots.").or(48*Mebibyte).
		differs("128 mb", "the process runs no user code and holds no records")
	TaskManagerMemoryManagedSize = memoryOption("taskmanager.memory.managed.size",
		"Memory for state backends, of all slots together; unset, taskmanager.memory.managed.fraction says it.").
		older("taskmanager.memory.size")
	TaskManagerMemoryManagedFraction = fractionOption("taskmanager.memory.managed.fraction",
		"Share of the slots' memory for state backends; what they leave is free for user code.").or(0.4)
	TaskManagerMemoryNetworkFraction = fractionOption("taskmanager.memory.network.fraction",
		"Share of the slots' memory for network buffers.").or(0.1).older("taskmanager.network.memory.fraction")
	TaskManagerMemoryNetworkMin = memoryOption("taskmanager.memory.network.min",
		"Least memory for network buffers, of all slots together.").or(4*Mebibyte).older("taskmanager.network.memory.min").
		differs("64 mb", "containers are smaller; buffers are taken as they are needed, and subtasks of one host exchange none")
	TaskManagerMemoryNetworkMax = memoryOption("taskmanager.memory.network.max",
		"Most memory for network buffers, of all slots together.").or(Unlimited).older("taskmanager.network.memory.max")
	TaskManagerMemorySegmentSize = memoryOption("taskmanager.memory.segment-size",
		"Size of a network buffer.").or(32*Kibibyte).
		where("a memory size from 1 kb to 16 mb, like 32kb", func(m MemorySize) bool { return m >= Kibibyte && m <= 16*Mebibyte })

	TaskManagerHost = textOption("taskmanager.host",
		"Address under which a TaskManager is reached; on YARN it is set to the container's host.")
	TaskManagerBindHost = textOption("taskmanager.bind-host",
		"Address a TaskManager listens on; unset, all of them (localhost is ignored on YARN).")
	TaskManagerRpcPort = portsOption("taskmanager.rpc.port",
		"Port, range or list of ports for the TaskManager's RPC endpoint; 0 takes any free port.").or(PortRange{{0, 0}})
	TaskManagerDataPort = portOption("taskmanager.data.port",
		"Port for the exchange of records under which a TaskManager is reached; 0 takes any free port.").or(0)
	TaskManagerDataBindPort = portsOption("taskmanager.data.bind-port",
		"Port, range or list of ports to listen on for the exchange of records; unset, taskmanager.data.port.").
		older("taskmanager.data.port")
	TaskManagerDataSslEnabled = boolOption("taskmanager.data.ssl.enabled",
		"Whether records between TaskManagers are encrypted, with a key of each job; peers are authenticated either way.").or(false).
		differs("true, but only with security.ssl.internal.enabled", "it takes effect by itself, so it has to be asked for")
	WeftNetworkCompression = enumOption("weft.network.compression",
		"How records between task hosts are compressed.", "NONE", "S2").or("NONE")
	TaskManagerResourceId = textOption("taskmanager.resource-id",
		"Id of a TaskManager; on YARN the container's id.")
	TaskManagerRegistrationTimeout = durationOption("taskmanager.registration.timeout",
		"Time after which a TaskManager that could not register with the JobManager exits.").or(5 * time.Minute).
		older("taskmanager.maxRegistrationDuration")
	TaskManagerSlotTimeout = durationOption("taskmanager.slot.timeout",
		"Time after which a slot that was allocated but not taken into use is freed.").or(10*time.Second).
		older("pekko.ask.timeout", "akka.ask.timeout")
	TaskManagerLoadBalanceMode = enumOption("taskmanager.load-balance.mode",
		"How slots are chosen: NONE fills a TaskManager first, SLOTS spreads over all of them.", "NONE", "SLOTS", "MIN_RESOURCES").
		or("NONE")
	TaskManagerNetworkRetries = countOption("taskmanager.network.retries",
		"Attempts to repeat a connection to another TaskManager before the task fails.").or(0)
	TaskManagerNetworkRequestBackoffInitial = countOption("taskmanager.network.request-backoff.initial",
		"First pause before a missing partition is requested again.").or(100).unit("ms").
		older("taskmanager.net.request-backoff.initial")
	TaskManagerNetworkRequestBackoffMax = countOption("taskmanager.network.request-backoff.max",
		"Longest pause before a missing partition is requested again.").or(10000).unit("ms").
		older("taskmanager.net.request-backoff.max")
	TaskCancellationInterval = durationOption("task.cancellation.interval",
		"Interval at which a task that ignores cancellation is reminded in the log.").or(30 * time.Second).
		older("task.cancellation-interval").in(ScopeJob)
	TaskCancellationTimeout = durationOption("task.cancellation.timeout",
		"Time after which the task host of a task that ignores cancellation is killed; 0 never does.").or(3 * time.Minute).
		in(ScopeJob)
)
