package yarntest

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/hadoop"
	"github.com/weftstream/weft/hadoop/ipc/ipctest"
	"github.com/weftstream/weft/hadoop/records"
	"github.com/weftstream/weft/yarn/internal/pb"
)

// invalidToken is the Java class of a refused token.
const invalidToken = "org.apache.hadoop.security.token.SecretManager$InvalidToken"

// masterKeys sign tokens. AMRMTokens are signed by numbered keys that roll over:
// next is announced before it becomes current; older ones are refused.
type masterKeys struct {
	secret  []byte // for NMTokens and container tokens
	amrm    map[int32][]byte
	current int32
	next    int32 // 0 while no rollover is under way
}

func newMasterKeys() masterKeys {
	return masterKeys{secret: randomKey(), amrm: map[int32][]byte{1: randomKey()}, current: 1}
}

func randomKey() []byte {
	key := make([]byte, 20)
	rand.Read(key) // never fails
	return key
}

func sign(key, identifier []byte) []byte {
	mac := hmac.New(sha1.New, key)
	mac.Write(identifier)
	return mac.Sum(nil)
}

func encode(m proto.Message) []byte {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(err) // none of our messages can fail
	}
	return b
}

func (k *masterKeys) amrmToken(attempt records.AttemptID, keyID int32) hadoop.Token {
	id := encode(&pb.AMRMTokenIdentifier{AppAttemptId: pb.FromAttemptID(attempt), KeyId: proto.Int32(keyID)})
	return hadoop.Token{Identifier: id, Password: sign(k.amrm[keyID], id), Kind: hadoop.KindAMRMToken}
}

func (k *masterKeys) nmToken(attempt records.AttemptID, node records.NodeID, user string) hadoop.Token {
	id := encode(&pb.NMTokenIdentifier{
		AppAttemptId: pb.FromAttemptID(attempt), NodeId: pb.FromNodeID(node), AppSubmitter: proto.String(user),
	})
	return hadoop.Token{Identifier: id, Password: sign(k.secret, id), Kind: hadoop.KindNMToken, Service: node.String()}
}

func (k *masterKeys) containerToken(ct *container) hadoop.Token {
	id := encode(&pb.ContainerTokenIdentifier{
		ContainerId: pb.FromContainerID(ct.id), NmHostAddr: proto.String(ct.node.id.String()),
		AppSubmitter: proto.String(ct.app.user), Resource: pb.FromResource(ct.resource),
	})
	return hadoop.Token{
		Identifier: id, Password: sign(k.secret, id), Kind: hadoop.KindContainerToken, Service: ct.node.id.String(),
	}
}

// amPassword checks an AMRMToken when a connection is opened.
func (c *Cluster) amPassword(identifier []byte) ([]byte, error) {
	var id pb.AMRMTokenIdentifier
	if err := proto.Unmarshal(identifier, &id); err != nil {
		return nil, ipctest.Exception(invalidToken, "can't decode the token identifier")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	attempt := id.GetAppAttemptId().Record()
	app := c.apps[attempt.Application]
	if app == nil || app.state.Ended() || app.attempt.id != attempt {
		return nil, ipctest.Exception(invalidToken, "%s not found in AMRMTokenSecretManager.", attempt)
	}
	key := id.GetKeyId()
	if key != c.keys.current && key != c.keys.next {
		return nil, ipctest.Exception(invalidToken, "Invalid AMRMToken from %s", attempt)
	}
	return sign(c.keys.amrm[key], identifier), nil
}

// RollMasterKey begins a rollover of the key for AMRMTokens: allocate replies
// carry a new token until the application master has connected with it. Both
// keys are good until ActivateMasterKey.
func (c *Cluster) RollMasterKey() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keys.next = c.keys.current + 1
	c.keys.amrm[c.keys.next] = randomKey()
}

// ActivateMasterKey ends the rollover: new connections with the old token are
// refused. Open ones live on.
func (c *Cluster) ActivateMasterKey() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys.next != 0 {
		c.keys.current, c.keys.next = c.keys.next, 0
	}
}
