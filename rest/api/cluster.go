package api

// DashboardConfig is GET /config: what a dashboard needs to know first.
type DashboardConfig struct {
	// RefreshInterval is in milliseconds.
	RefreshInterval int64  `json:"refresh-interval"`
	TimezoneName    string `json:"timezone-name"`
	// TimezoneOffset is in milliseconds east of UTC.
	TimezoneOffset int      `json:"timezone-offset"`
	Version        string   `json:"flink-version"`
	Revision       string   `json:"flink-revision"`
	Features       Features `json:"features"`
}

// Features says what a dashboard may offer.
type Features struct {
	WebSubmit  bool `json:"web-submit"`
	WebCancel  bool `json:"web-cancel"`
	WebRescale bool `json:"web-rescale"`
	WebHistory bool `json:"web-history"`
}

// ClusterOverview is GET /overview.
type ClusterOverview struct {
	TaskManagers        int    `json:"taskmanagers"`
	SlotsTotal          int    `json:"slots-total"`
	SlotsAvailable      int    `json:"slots-available"`
	TaskManagersBlocked int    `json:"taskmanagers-blocked"`
	SlotsFreeAndBlocked int    `json:"slots-free-and-blocked"`
	JobsRunning         int    `json:"jobs-running"`
	JobsFinished        int    `json:"jobs-finished"`
	JobsCancelled       int    `json:"jobs-cancelled"`
	JobsFailed          int    `json:"jobs-failed"`
	Version             string `json:"flink-version"`
	Commit              string `json:"flink-commit"`
}

// ConfigEntry is an entry of GET /jobmanager/config; secrets are masked.
type ConfigEntry struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Environment is GET /jobmanager/environment. What is Java's in Flink tells of the Go runtime: the version, GOOS/GOARCH and
// the variables that set it up.
type Environment struct {
	JVM       Runtime  `json:"jvm"`
	Classpath []string `json:"classpath"`
}

// Runtime is the part of Environment that describes the language's runtime.
type Runtime struct {
	Version string   `json:"version"`
	Arch    string   `json:"arch"`
	Options []string `json:"options"`
}

// Logs is GET /jobmanager/logs.
type Logs struct {
	Logs []LogFile `json:"logs"`
}

// LogFile is a file that can be read below …/logs/.
type LogFile struct {
	Name  string `json:"name"`
	Size  int64  `json:"size"`
	MTime int64  `json:"mtime"`
}

// Datasets is GET /datasets.
type Datasets struct {
	DataSets []Dataset `json:"dataSets"`
}

// Dataset is a cached intermediate result.
type Dataset struct {
	ID         string `json:"id"`
	IsComplete bool   `json:"isComplete"`
}

// TaskManagers is GET /taskmanagers.
type TaskManagers struct {
	TaskManagers []TaskManager `json:"taskmanagers"`
}

// TaskManager is an entry of TaskManagers.
type TaskManager struct {
	ID string `json:"id"`
	// Path is where it runs, "host".
	Path     string `json:"path"`
	DataPort int    `json:"dataPort"`
	JMXPort  int    `json:"jmxPort"` // always -1
	// LastHeartbeat is a time, whatever Flink's name of the field says.
	LastHeartbeat int64               `json:"timeSinceLastHeartbeat"`
	Slots         int                 `json:"slotsNumber"`
	FreeSlots     int                 `json:"freeSlots"`
	TotalResource ResourceProfile     `json:"totalResource"`
	FreeResource  ResourceProfile     `json:"freeResource"`
	Hardware      Hardware            `json:"hardware"`
	Memory        MemoryConfiguration `json:"memoryConfiguration"`
	Blocked       bool                `json:"blocked"`
}

// TaskManagerDetails is GET /taskmanagers/:taskmanagerid.
type TaskManagerDetails struct {
	TaskManager
	AllocatedSlots []AllocatedSlot    `json:"allocatedSlots"`
	Metrics        TaskManagerMetrics `json:"metrics"`
}

// ResourceProfile counts memory in MiB. A slot of Weft has one budget, which is shown as task heap memory.
type ResourceProfile struct {
	CPUCores          float64            `json:"cpuCores"`
	TaskHeapMemory    int                `json:"taskHeapMemory"`
	TaskOffHeapMemory int                `json:"taskOffHeapMemory"`
	ManagedMemory     int                `json:"managedMemory"`
	NetworkMemory     int                `json:"networkMemory"`
	ExtendedResources map[string]float64 `json:"extendedResources"`
}

// Hardware is in bytes.
type Hardware struct {
	CPUCores       int   `json:"cpuCores"`
	PhysicalMemory int64 `json:"physicalMemory"`
	FreeMemory     int64 `json:"freeMemory"`
	ManagedMemory  int64 `json:"managedMemory"`
}

// MemoryConfiguration is in bytes. What only a JVM has is 0.
type MemoryConfiguration struct {
	FrameworkHeap      int64 `json:"frameworkHeap"`
	TaskHeap           int64 `json:"taskHeap"`
	FrameworkOffHeap   int64 `json:"frameworkOffHeap"`
	TaskOffHeap        int64 `json:"taskOffHeap"`
	NetworkMemory      int64 `json:"networkMemory"`
	ManagedMemory      int64 `json:"managedMemory"`
	JVMMetaspace       int64 `json:"jvmMetaspace"`
	JVMOverhead        int64 `json:"jvmOverhead"`
	TotalFlinkMemory   int64 `json:"totalFlinkMemory"`
	TotalProcessMemory int64 `json:"totalProcessMemory"`
}

// AllocatedSlot is a slot that a job has.
type AllocatedSlot struct {
	JobID    string          `json:"jobId"`
	Resource ResourceProfile `json:"resource"`
}

// TaskManagerMetrics is in bytes. Heap is the resident memory of the TaskManager and its task hosts; what only a JVM, or
// Netty, has is 0.
type TaskManagerMetrics struct {
	HeapUsed                       int64              `json:"heapUsed"`
	HeapCommitted                  int64              `json:"heapCommitted"`
	HeapMax                        int64              `json:"heapMax"`
	NonHeapUsed                    int64              `json:"nonHeapUsed"`
	NonHeapCommitted               int64              `json:"nonHeapCommitted"`
	NonHeapMax                     int64              `json:"nonHeapMax"`
	DirectCount                    int64              `json:"directCount"`
	DirectUsed                     int64              `json:"directUsed"`
	DirectMax                      int64              `json:"directMax"`
	MappedCount                    int64              `json:"mappedCount"`
	MappedUsed                     int64              `json:"mappedUsed"`
	MappedMax                      int64              `json:"mappedMax"`
	MemorySegmentsAvailable        int64              `json:"memorySegmentsAvailable"`
	MemorySegmentsTotal            int64              `json:"memorySegmentsTotal"`
	ShuffleMemorySegmentsAvailable int64              `json:"nettyShuffleMemorySegmentsAvailable"`
	ShuffleMemorySegmentsUsed      int64              `json:"nettyShuffleMemorySegmentsUsed"`
	ShuffleMemorySegmentsTotal     int64              `json:"nettyShuffleMemorySegmentsTotal"`
	ShuffleMemoryAvailable         int64              `json:"nettyShuffleMemoryAvailable"`
	ShuffleMemoryUsed              int64              `json:"nettyShuffleMemoryUsed"`
	ShuffleMemoryTotal             int64              `json:"nettyShuffleMemoryTotal"`
	GarbageCollectors              []GarbageCollector `json:"garbageCollectors"`
}

// GarbageCollector counts collections and the milliseconds they took.
type GarbageCollector struct {
	Name  string `json:"name"`
	Count int64  `json:"count"`
	Time  int64  `json:"time"`
}
