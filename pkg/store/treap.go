package store

// node is the root of a treap: a search tree by key, and a heap by weight, which is a hash of the key. So its shape follows
// from its keys alone, and is flat enough whatever they are. No node is ever changed: a change copies those on the way to
// it, and whoever holds the old root has the old tree.
type node struct {
	key         string
	value       any
	weight      uint32
	left, right *node
}

func (n *node) get(key string) any {
	for n != nil {
		switch {
		case key < n.key:
			n = n.left
		case key > n.key:
			n = n.right
		default:
			return n.value
		}
	}
	return nil
}

// put returns the tree with the value in it.
func (n *node) put(key string, value any) *node {
	return n.with(&node{key: key, value: value, weight: weigh(key)})
}

// weigh hashes a key: FNV-1a, and then what makes its high bits, which decide, differ for keys that differ at their ends.
func weigh(key string) uint32 {
	h := uint32(2166136261)
	for i := range len(key) {
		h = (h ^ uint32(key[i])) * 16777619
	}
	h = (h ^ h>>16) * 0x85ebca6b
	h = (h ^ h>>13) * 0xc2b2ae35
	return h ^ h>>16
}

// with is put. The root that it returns is a new one, so its caller may change it.
func (n *node) with(e *node) *node {
	if n == nil {
		return e
	}
	c := new(*n)
	switch {
	case e.key < n.key:
		c.left = n.left.with(e)
		if up := c.left; up.weight > c.weight {
			c.left, up.right = up.right, c
			return up
		}
	case e.key > n.key:
		c.right = n.right.with(e)
		if up := c.right; up.weight > c.weight {
			c.right, up.left = up.left, c
			return up
		}
	default:
		c.value = e.value
	}
	return c
}

// without returns the tree without the key.
func (n *node) without(key string) *node {
	if n == nil {
		return nil
	}
	if key == n.key {
		return join(n.left, n.right)
	}
	c := new(*n)
	if key < n.key {
		c.left = n.left.without(key)
	} else {
		c.right = n.right.without(key)
	}
	return c
}

// join returns one tree of two, all keys of the first being smaller than those of the second.
func join(low, high *node) *node {
	switch {
	case low == nil:
		return high
	case high == nil:
		return low
	case low.weight > high.weight:
		c := new(*low)
		c.right = join(low.right, high)
		return c
	}
	c := new(*high)
	c.left = join(low, high.left)
	return c
}

// from calls yield with every node from key on, in order, until that returns false, which it then returns too.
func (n *node) from(key string, yield func(*node) bool) bool {
	if n == nil {
		return true
	}
	if key <= n.key && !(n.left.from(key, yield) && yield(n)) {
		return false
	}
	return n.right.from(key, yield)
}
