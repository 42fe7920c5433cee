package pool

// node is an item of a heap: it knows its order and its own place, so that any item
// can be moved or removed without a search.
type node[T any] interface {
	before(other T) bool
	index() *int // place in the heap counted from 1; 0 while outside
}

// heap is a binary min-heap. The zero value is empty.
type heap[T node[T]] struct{ items []T }

func (h *heap[T]) len() int { return len(h.items) }

// first returns the least item; the heap must not be empty.
func (h *heap[T]) first() T { return h.items[0] }

// put adds x, or moves it to its place after its order has changed.
func (h *heap[T]) put(x T) {
	i := *x.index() - 1
	if i < 0 {
		h.items = append(h.items, x)
		i = len(h.items) - 1
		*x.index() = i + 1
	}
	if !h.down(i) {
		h.up(i)
	}
}

// remove removes x; it does nothing if x is not in the heap.
func (h *heap[T]) remove(x T) {
	i := *x.index() - 1
	if i < 0 {
		return
	}
	last := len(h.items) - 1
	h.swap(i, last)
	var none T
	h.items[last] = none
	h.items = h.items[:last]
	*x.index() = 0
	if i < last && !h.down(i) {
		h.up(i)
	}
}

func (h *heap[T]) swap(i, e int) {
	h.items[i], h.items[e] = h.items[e], h.items[i]
	*h.items[i].index() = i + 1
	*h.items[e].index() = e + 1
}

func (h *heap[T]) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !h.items[i].before(h.items[parent]) {
			return
		}
		h.swap(i, parent)
		i = parent
	}
}

func (h *heap[T]) down(i int) (moved bool) {
	for {
		least := i
		for _, child := range [2]int{2*i + 1, 2*i + 2} {
			if child < len(h.items) && h.items[child].before(h.items[least]) {
				least = child
			}
		}
		if least == i {
			return moved
		}
		h.swap(i, least)
		i, moved = least, true
	}
}
