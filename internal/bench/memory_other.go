//go:build !linux

package bench

// InMemory reports whether a directory is on a file system that keeps nothing on disk. Only Linux tells.
func InMemory(string) bool { return false }
