/** Returns a sentence with the known names that are most similar to a name, at most three; empty if none is. */
export function nearestNames(name: string, known: Iterable<string>): string {
  const max = Math.max(2, Math.floor(name.length / 3))
  const near = [...known]
    .map((candidate) => ({ candidate, steps: editSteps(name, candidate) }))
    .filter(({ candidate, steps }) => steps <= max || candidate.includes(name))
    .sort((a, b) => a.steps - b.steps || (a.candidate < b.candidate ? -1 : 1))
    .slice(0, 3)
    .map(({ candidate }) => `"${candidate}"`)
  return near.length === 0 ? '' : ` Similar names: ${near.join(', ')}.`
}

/** Returns how many letters must be added, dropped, replaced or exchanged with the next one to turn one name into the other. */
export function editSteps(from: string, to: string): number {
  let before: number[] = []
  let row = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (let i = 1; i <= from.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= to.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1)
      const isExchanged = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]
      const exchanged = isExchanged ? (before[j - 2] ?? 0) + 1 : replaced
      next.push(Math.min(replaced, exchanged, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    before = row
    row = next
  }
  return row[to.length] ?? 0
}
