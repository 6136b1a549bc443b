package yarn

import (
	"github.com/weftstream/weft/client"
	"github.com/weftstream/weft/conf"
)

// The values of execution.target that this provider serves.
const (
	TargetSession     = "yarn-session"
	TargetPerJob      = "yarn-per-job"
	TargetApplication = "yarn-application"
)

// Provider makes Descriptors. Its zero value is ready.
type Provider struct{}

var _ client.Provider = Provider{}

// Name is "YARN".
func (Provider) Name() string { return "YARN" }

// Targets are yarn-session, yarn-per-job and yarn-application.
func (Provider) Targets() []string { return []string{TargetSession, TargetPerJob, TargetApplication} }

// Descriptor reads the Hadoop configuration that HADOOP_CONF_DIR and YARN_CONF_DIR name; it contacts nobody. The result
// is a *Descriptor.
func (Provider) Descriptor(c conf.Configuration, env client.Environment) (client.ClusterDescriptor, error) {
	return NewDescriptor(c, env)
}
