package conf_test

import (
	"fmt"

	"github.com/weftstream/weft/conf"
)

func ExampleBuilder() {
	c, warnings, err := new(conf.Builder).
		Set("taskmanager.memory.process.size", "256m", "config.yaml:3").
		Set("heartbeat.interval", "5 s", "-D").
		Set("paralelism.default", "4", "-D").
		Build()
	fmt.Println(conf.Get(c, conf.TaskManagerMemoryProcessSize), conf.Get(c, conf.HeartbeatInterval), err)
	fmt.Println(warnings[0])
	// Output:
	// 256 mb 5s <nil>
	// -D: paralelism.default: unknown key; did you mean parallelism.default?
}

func ExampleTaskManagerMemory() {
	c, _, _ := new(conf.Builder).
		Set("taskmanager.memory.process.size", "100m", "config.yaml:3").
		Set("taskmanager.numberOfTaskSlots", "4", "-D").
		Build()
	_, err := conf.TaskManagerMemory(c)
	fmt.Println(err)
	// Output:
	// memory does not fit: taskmanager.memory.process.size=100m (config.yaml:3), taskmanager.memory.framework.heap.size=48 mb (default), taskmanager.numberOfTaskSlots=4 (-D): 4 slots need at least 24 mb each, 144 mb in all; raise taskmanager.memory.process.size to that or lower taskmanager.numberOfTaskSlots
}
