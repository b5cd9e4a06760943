/** Groups items by the result of `key`. Groups are in the order of their first items. */
export function groupBy<K, T>(items: Iterable<T>, key: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>()
  for (const item of items) {
    const its = key(item)
    const group = groups.get(its)
    if (group) group.push(item)
    else groups.set(its, [item])
  }
  return groups
}
