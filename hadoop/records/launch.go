package records

import "github.com/weftstream/weft/hadoop"

// LocalResourceType says what a NodeManager does with a file it has fetched.
type LocalResourceType string

// The kinds of local resource.
const (
	ResourceFile    LocalResourceType = "FILE"    // linked as it is, made executable
	ResourceArchive LocalResourceType = "ARCHIVE" // unpacked into a directory
)

// Visibility says who shares a NodeManager's copy of a file.
type Visibility string

// The visibilities.
const (
	VisibilityPublic      Visibility = "PUBLIC"      // all users; the file must be readable by others, up to the root
	VisibilityPrivate     Visibility = "PRIVATE"     // all applications of the user
	VisibilityApplication Visibility = "APPLICATION" // this application only
)

// LocalResource is a file that a NodeManager fetches for a container.
type LocalResource struct {
	// URL names the file with scheme and authority, such as
	// hdfs://namenode:8020/path.
	URL string
	// Size in bytes and Timestamp (modification time in milliseconds) must be
	// exactly the file's, or the container fails while it is localised.
	Size       int64
	Timestamp  int64
	Type       LocalResourceType
	Visibility Visibility
}

// AccessType is what an application ACL allows.
type AccessType string

// The access types.
const (
	ViewApp   AccessType = "VIEW_APP"
	ModifyApp AccessType = "MODIFY_APP"
)

// LaunchContext is what a container is started with.
type LaunchContext struct {
	// LocalResources by the name they are linked under in the working directory.
	LocalResources map[string]LocalResource
	// Environment values are expanded by a shell on the node: $X and $(cmd)
	// take effect and a double quote breaks the launch.
	Environment map[string]string
	// Command is one line for /bin/bash; <LOG_DIR> in it is replaced by the
	// container's log directory.
	Command string
	// Credentials become the container's token file. May be nil.
	Credentials *hadoop.Credentials
	// ServiceData is handed to auxiliary services of the node by their name.
	ServiceData map[string][]byte
	// ACLs by access type: users and groups as "user1,user2 group1", or "*".
	ACLs map[AccessType]string
}
