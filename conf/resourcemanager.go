package conf

import "time"

// Options of the ResourceManager and of slots.
var (
	SlotRequestTimeout = durationOption("slot.request.timeout",
		"Time after which a request for a slot fails.").or(5 * time.Minute)
	SlotIdleTimeout = durationOption("slot.idle.timeout",
		"Time after which a job gives an idle slot back.").or(50 * time.Second)
	ResourceManagerTaskManagerTimeout = durationOption("resourcemanager.taskmanager-timeout",
		"Time after which an idle TaskManager is released.").or(30 * time.Second).older("slotmanager.taskmanager-timeout")
	ResourceManagerTaskManagerRegistrationTimeout = durationOption("resourcemanager.taskmanager-registration.timeout",
		"Time within which a TaskManager that was started must register.").or(5 * time.Minute).
		older("taskmanager.registration.timeout")
	ResourceManagerJobTimeout = durationOption("resourcemanager.job.timeout",
		"Time after which a job without a leader is forgotten.").or(5 * time.Minute)
	ResourceManagerPreviousWorkerRecoveryTimeout = durationOption("resourcemanager.previous-worker.recovery.timeout",
		"Time a new JobManager waits for earlier TaskManagers before it asks for new ones.").or(0)
	ResourceManagerStartWorkerMaxFailureRate = numberOption("resourcemanager.start-worker.max-failure-rate",
		"Failed starts of TaskManagers in a minute before asking for more pauses.").or(10).unit("per minute")
	ResourceManagerStartWorkerRetryInterval = durationOption("resourcemanager.start-worker.retry-interval",
		"Length of that pause.").or(3 * time.Second)
	ResourceManagerStandaloneStartUpTime = durationOption("resourcemanager.standalone.start-up-time",
		"Time a standalone cluster waits for TaskManagers before requests that can't be met fail; unset, slot.request.timeout.")
	SlotManagerNumberOfSlotsMax = positiveOption("slotmanager.number-of-slots.max",
		"Most slots the cluster may have.").or(maxInt)
	SlotManagerNumberOfSlotsMin = countOption("slotmanager.number-of-slots.min",
		"Slots the cluster keeps even if they are idle.").or(0)
	SlotManagerMaxTotalResourceCpu = numberOption("slotmanager.max-total-resource.cpu",
		"Most processor cores of all TaskManagers together.")
	SlotManagerMaxTotalResourceMemory = memoryOption("slotmanager.max-total-resource.memory",
		"Most memory of all TaskManagers together.")
	SlotManagerRedundantTaskManagerNum = countOption("slotmanager.redundant-taskmanager-num",
		"Spare TaskManagers that are kept ready for failures.").or(0)
	SlotManagerRequirementCheckDelay = durationOption("slotmanager.requirement-check.delay",
		"Time in which changes of what jobs need are gathered.").or(5*time.Millisecond).
		differs("50 ms", "what is needed is declared as a whole, so there is little to gather")
	SlotManagerDeclareNeededResourceDelay = durationOption("slotmanager.declare-needed-resource.delay",
		"Time in which changes of the number of TaskManagers needed are gathered.").or(5*time.Millisecond).
		differs("50 ms", "the wait would be part of every job's start")
)
