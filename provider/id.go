package provider

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// PartitionOf computes the partition of an instance id among n: the first two bytes of the SHA-256 of the id's UTF-8
// bytes, big endian, modulo n. The SQL side computes the same (golden vectors in testdata/partitions.txt).
func PartitionOf(instanceID string, n int) int16 {
	h := sha256.Sum256([]byte(instanceID))
	return int16(int(binary.BigEndian.Uint16(h[:2])) % n)
}

// NewToken returns a random request id.
func NewToken() Token { return Token(randomInt63()) }

// NewWorkerID returns a random worker id.
func NewWorkerID() WorkerID { return WorkerID(randomInt63()) }

// NewExecutionID returns a random execution id.
func NewExecutionID() ExecutionID {
	var id ExecutionID
	rand.Read(id[:]) // never fails (crypto/rand)
	return id
}

// String returns the id as 32 hexadecimal digits.
func (id ExecutionID) String() string { return hex.EncodeToString(id[:]) }

// ParseExecutionID reads 32 hexadecimal digits.
func ParseExecutionID(s string) (ExecutionID, error) {
	var id ExecutionID
	if len(s) != 2*len(id) {
		return id, fmt.Errorf("execution id %q: want %d hexadecimal digits", s, 2*len(id))
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return id, fmt.Errorf("execution id %q: %w", s, err)
	}
	return id, nil
}

func randomInt63() int64 {
	var b [8]byte
	for {
		rand.Read(b[:])
		if n := int64(binary.BigEndian.Uint64(b[:]) >> 1); n != 0 {
			return n
		}
	}
}
