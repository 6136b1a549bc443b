package pb

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/hadoop"
	"github.com/weftstream/weft/hadoop/records"
)

// FromApplicationID returns the wire form.
func FromApplicationID(id records.ApplicationID) *ApplicationId {
	return &ApplicationId{Id: proto.Int32(id.ID), ClusterTimestamp: proto.Int64(id.ClusterTimestamp)}
}

// Record returns the plain form.
func (x *ApplicationId) Record() records.ApplicationID {
	return records.ApplicationID{ClusterTimestamp: x.GetClusterTimestamp(), ID: x.GetId()}
}

// FromAttemptID returns the wire form.
func FromAttemptID(id records.AttemptID) *ApplicationAttemptId {
	return &ApplicationAttemptId{
		ApplicationId: FromApplicationID(id.Application), AttemptId: proto.Int32(id.Attempt),
	}
}

// Record returns the plain form.
func (x *ApplicationAttemptId) Record() records.AttemptID {
	return records.AttemptID{Application: x.GetApplicationId().Record(), Attempt: x.GetAttemptId()}
}

// FromContainerID returns the wire form.
func FromContainerID(id records.ContainerID) *ContainerId {
	return &ContainerId{AppAttemptId: FromAttemptID(id.Attempt), Id: proto.Int64(id.ID)}
}

// FromContainerIDs returns the wire forms.
func FromContainerIDs(ids []records.ContainerID) []*ContainerId {
	var out []*ContainerId
	for _, id := range ids {
		out = append(out, FromContainerID(id))
	}
	return out
}

// Record returns the plain form.
func (x *ContainerId) Record() records.ContainerID {
	return records.ContainerID{Attempt: x.GetAppAttemptId().Record(), ID: x.GetId()}
}

// FromNodeID returns the wire form.
func FromNodeID(id records.NodeID) *NodeId {
	return &NodeId{Host: proto.String(id.Host), Port: proto.Int32(id.Port)}
}

// Record returns the plain form.
func (x *NodeId) Record() records.NodeID {
	return records.NodeID{Host: x.GetHost(), Port: x.GetPort()}
}

// FromToken returns the wire form, with every field present as Hadoop demands.
func FromToken(t hadoop.Token) *Token {
	return &Token{
		Identifier: append([]byte{}, t.Identifier...), Password: append([]byte{}, t.Password...),
		Kind: proto.String(t.Kind), Service: proto.String(t.Service),
	}
}

// Record returns the plain form.
func (x *Token) Record() hadoop.Token {
	return hadoop.Token{
		Identifier: x.GetIdentifier(), Password: x.GetPassword(), Kind: x.GetKind(), Service: x.GetService(),
	}
}

// Record returns the plain form.
func (x *NMToken) Record() records.NMToken {
	return records.NMToken{Node: x.GetNodeId().Record(), Token: x.GetToken().Record()}
}

// The two resource types that have fields of their own also appear in the map.
const (
	memoryName = "memory-mb"
	vcoresName = "vcores"
)

// FromResource returns the wire form.
func FromResource(r records.Resource) *Resource {
	out := &Resource{Memory: proto.Int64(r.MemoryMB), VirtualCores: proto.Int32(r.VCores)}
	for _, name := range slices.Sorted(maps.Keys(r.Extra)) {
		out.ResourceValueMap = append(out.ResourceValueMap, &ResourceInformation{
			Key: proto.String(name), Value: proto.Int64(r.Extra[name]),
		})
	}
	return out
}

// Record returns the plain form.
func (x *Resource) Record() records.Resource {
	out := records.Resource{MemoryMB: x.GetMemory(), VCores: x.GetVirtualCores()}
	for _, i := range x.GetResourceValueMap() {
		if i.GetKey() != memoryName && i.GetKey() != vcoresName && i.GetValue() != 0 {
			if out.Extra == nil {
				out.Extra = make(map[string]int64)
			}
			out.Extra[i.GetKey()] = i.GetValue()
		}
	}
	return out
}

// Record returns the plain form.
func (x *Container) Record() records.Container {
	out := records.Container{
		ID: x.GetId().Record(), Node: x.GetNodeId().Record(), HTTPAddress: x.GetNodeHttpAddress(),
		Resource: x.GetResource().Record(), Priority: x.GetPriority().GetPriority(),
		ExecutionType: records.ExecutionType(x.GetExecutionType()), AllocationRequestID: x.GetAllocationRequestId(),
		Token: x.GetContainerToken().Record(),
	}
	if out.ExecutionType == 0 {
		out.ExecutionType = records.Guaranteed
	}
	return out
}

// Record returns the plain form.
func (x *ContainerStatus) Record() records.ContainerStatus {
	out := records.ContainerStatus{
		ID: x.GetContainerId().Record(), State: records.ContainerState(x.GetState()),
		ExitStatus: x.GetExitStatus(), Diagnostics: x.GetDiagnostics(), Resource: x.GetCapability().Record(),
		ExecutionType: records.ExecutionType(x.GetExecutionType()),
	}
	for _, a := range x.GetContainerAttributes() {
		if out.Attributes == nil {
			out.Attributes = make(map[string]string)
		}
		out.Attributes[a.GetKey()] = a.GetValue()
	}
	return out
}

// Record returns the plain form.
func (x *NodeReport) Record() records.NodeReport {
	return records.NodeReport{
		Node: x.GetNodeId().Record(), HTTPAddress: x.GetHttpAddress(), Rack: x.GetRackName(),
		State: records.NodeState(x.GetNodeState()), Capability: x.GetCapability().Record(),
		Used: x.GetUsed().Record(), HealthReport: x.GetHealthReport(),
	}
}

// Records converts a list.
func Records[P interface{ Record() R }, R any](list []P) []R {
	var out []R
	for _, p := range list {
		out = append(out, p.Record())
	}
	return out
}

// FromURL parses the location of a local resource.
func FromURL(s string) (*Url, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, err
	}
	if u.Scheme == "" || u.Path == "" {
		return nil, fmt.Errorf("URL %q needs a scheme and a path", s)
	}
	out := &Url{Scheme: proto.String(u.Scheme), File: proto.String(u.Path)}
	if u.Host != "" {
		out.Host = proto.String(u.Hostname())
		// Without a port, as for a nameservice, Hadoop wants -1.
		out.Port = proto.Int32(-1)
	}
	if u.Port() != "" {
		port, err := strconv.ParseInt(u.Port(), 10, 32)
		if err != nil {
			return nil, err
		}
		out.Port = proto.Int32(int32(port))
	}
	if u.User != nil {
		out.UserInfo = proto.String(u.User.String())
	}
	return out, nil
}

// Text is the location as a URL again.
func (x *Url) Text() string {
	u := url.URL{Scheme: x.GetScheme(), Host: x.GetHost(), Path: x.GetFile()}
	if x.GetPort() > 0 {
		u.Host += ":" + strconv.Itoa(int(x.GetPort()))
	}
	return u.String()
}

// FromLaunchContext returns the wire form, with maps in the order of their
// keys.
func FromLaunchContext(l records.LaunchContext) (*ContainerLaunchContext, error) {
	out := &ContainerLaunchContext{Command: []string{l.Command}}
	for _, name := range slices.Sorted(maps.Keys(l.LocalResources)) {
		r, err := fromLocalResource(l.LocalResources[name])
		if err != nil {
			return nil, fmt.Errorf("local resource %s: %w", name, err)
		}
		out.LocalResources = append(out.LocalResources, &LocalResourceEntry{Key: proto.String(name), Value: r})
	}
	for _, name := range slices.Sorted(maps.Keys(l.Environment)) {
		out.Environment = append(out.Environment, &StringPair{
			Key: proto.String(name), Value: proto.String(l.Environment[name]),
		})
	}
	for _, name := range slices.Sorted(maps.Keys(l.ServiceData)) {
		out.ServiceData = append(out.ServiceData, &BytesPair{Key: proto.String(name), Value: l.ServiceData[name]})
	}
	for _, access := range slices.Sorted(maps.Keys(l.ACLs)) {
		number, ok := accessTypes[access]
		if !ok {
			return nil, fmt.Errorf("unknown access type %q", access)
		}
		out.ApplicationAcls = append(out.ApplicationAcls, &ApplicationACL{
			AccessType: proto.Int32(number), Acl: proto.String(l.ACLs[access]),
		})
	}
	if l.Credentials != nil {
		out.Tokens = l.Credentials.Marshal()
	}
	return out, nil
}

// accessTypes are YARN's numbers.
var accessTypes = map[records.AccessType]int32{records.ViewApp: 1, records.ModifyApp: 2}

func fromLocalResource(r records.LocalResource) (*LocalResource, error) {
	u, err := FromURL(r.URL)
	if err != nil {
		return nil, err
	}
	kind, ok := LocalResourceType_value[string(r.Type)]
	if !ok {
		return nil, fmt.Errorf("unknown type %q", r.Type)
	}
	visibility, ok := LocalResourceVisibility_value[string(r.Visibility)]
	if !ok {
		return nil, fmt.Errorf("unknown visibility %q", r.Visibility)
	}
	return &LocalResource{
		Resource: u, Size: proto.Int64(r.Size), Timestamp: proto.Int64(r.Timestamp),
		Type: LocalResourceType(kind).Enum(), Visibility: LocalResourceVisibility(visibility).Enum(),
	}, nil
}

// Record returns the plain form.
func (x *ContainerLaunchContext) Record() (records.LaunchContext, error) {
	out := records.LaunchContext{
		LocalResources: make(map[string]records.LocalResource), Environment: make(map[string]string),
		ServiceData: make(map[string][]byte), ACLs: make(map[records.AccessType]string),
	}
	for _, e := range x.GetLocalResources() {
		r := e.GetValue()
		out.LocalResources[e.GetKey()] = records.LocalResource{
			URL: r.GetResource().Text(), Size: r.GetSize(), Timestamp: r.GetTimestamp(),
			Type:       records.LocalResourceType(r.GetType().String()),
			Visibility: records.Visibility(r.GetVisibility().String()),
		}
	}
	for _, e := range x.GetEnvironment() {
		out.Environment[e.GetKey()] = e.GetValue()
	}
	for _, e := range x.GetServiceData() {
		out.ServiceData[e.GetKey()] = e.GetValue()
	}
	for name, number := range accessTypes {
		for _, acl := range x.GetApplicationAcls() {
			if acl.GetAccessType() == number {
				out.ACLs[name] = acl.GetAcl()
			}
		}
	}
	if len(x.GetCommand()) != 1 {
		return out, errors.New("a launch context needs one command")
	}
	out.Command = x.GetCommand()[0]
	if len(x.GetTokens()) > 0 {
		var err error
		if out.Credentials, err = hadoop.ParseCredentials(x.GetTokens()); err != nil {
			return out, err
		}
	}
	return out, nil
}

// Text is the innermost reason of an exception that travelled inside a reply.
func (x *SerializedException) Text() string {
	for x.GetCause() != nil && x.GetCause().GetMessage() != "" {
		x = x.GetCause()
	}
	return x.GetMessage()
}
