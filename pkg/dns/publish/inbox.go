package publish

import "sync"

// inbox gathers what is to be evaluated. Safe for concurrent use.
type inbox struct {
	mu   sync.Mutex
	keys map[Key]bool
	all  bool
	// dead are custom objects that were seen deleted, by their UID: their kind may be gone with them.
	dead map[Key]string
	wake chan struct{}
}

func (i *inbox) add(k Key) {
	i.mu.Lock()
	if i.keys == nil {
		i.keys = map[Key]bool{}
	}
	i.keys[k] = true
	i.mu.Unlock()
	i.poke()
}

func (i *inbox) addAll() {
	i.mu.Lock()
	i.all = true
	i.mu.Unlock()
	i.poke()
}

func (i *inbox) poke() {
	select {
	case i.wake <- struct{}{}:
	default:
	}
}

func (i *inbox) take() (keys map[Key]bool, all bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	keys, all = i.keys, i.all
	i.keys, i.all = nil, false
	return keys, all
}

func (i *inbox) noteDeleted(k Key, uid string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.dead == nil {
		i.dead = map[Key]string{}
	}
	i.dead[k] = uid
}

func (i *inbox) deleted(k Key, uid string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return uid != "" && i.dead[k] == uid
}
