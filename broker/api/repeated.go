package api

// repeated finds the keys that stand for more than one of all. A request may name millions, so nobody compares each
// with each.
func repeated[T any, K comparable](all []T, key func(*T) K) map[K]bool {
	seen := make(map[K]bool, len(all)) // true: more than once
	for i := range all {
		k := key(&all[i])
		_, again := seen[k]
		seen[k] = again
	}
	return seen
}
