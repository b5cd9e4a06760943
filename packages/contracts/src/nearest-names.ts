/** A sentence with the known names that are most like a name, at most three. */
export function nearestNames(name: string, known: Iterable<string>): string {
  const most = Math.max(2, Math.floor(name.length / 3))
  const near = [...known]
    .map((candidate) => ({ candidate, steps: editSteps(name, candidate) }))
    .filter(({ candidate, steps }) => steps <= most || candidate.includes(name))
    .sort((a, b) => a.steps - b.steps || (a.candidate < b.candidate ? -1 : 1))
    .slice(0, 3)
    .map(({ candidate }) => `"${candidate}"`)
  return near.length === 0 ? '' : ` Known and similar: ${near.join(', ')}.`
}

/** Returns how many letters must be added, dropped or replaced to turn one name into the other. */
export function editSteps(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (let i = 1; i <= from.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= to.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[to.length] ?? 0
}
