package engine

import (
	"maps"
	"slices"
	"sync"
)

// subscribers are those in this process who wait for news under a key. The zero value is ready for use.
type subscribers[K comparable, T any] struct {
	mu    sync.Mutex
	byKey map[K][]chan T
}

// join registers somebody who waits; leave must follow. The channel holds one piece of news.
func (s *subscribers[K, T]) join(key K) chan T {
	news := make(chan T, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byKey == nil {
		s.byKey = map[K][]chan T{}
	}
	s.byKey[key] = append(s.byKey[key], news)
	return news
}

func (s *subscribers[K, T]) leave(key K, news chan T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byKey[key] = slices.DeleteFunc(s.byKey[key], func(other chan T) bool { return other == news })
	if len(s.byKey[key]) == 0 {
		delete(s.byKey, key)
	}
}

// tell gives news to those who wait under a key. What they have not looked at yet makes room for it.
func (s *subscribers[K, T]) tell(key K, value T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, news := range s.byKey[key] {
		select {
		case <-news:
		default:
		}
		news <- value // there is room: only here, under the lock, is anything put in
	}
}

func (s *subscribers[K, T]) has(key K) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.byKey[key]) > 0
}

// some returns keys under which somebody waits, at most n of them; which ones is left to chance.
func (s *subscribers[K, T]) some(n int) []K {
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys []K
	for key := range maps.Keys(s.byKey) {
		if len(keys) == n {
			break
		}
		keys = append(keys, key)
	}
	return keys
}
