/** The items by what `key` makes of them, in the order of their first. */
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
