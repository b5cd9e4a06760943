import { LONG } from '@aduana/testkit/long'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { definitionWith } from '../testing/definitions.ts'
import { openTestDuck, validateIn } from '../testing/validate.ts'

type Row = { k: string; u: string; n: string; v: string }
type Keep = 'first' | 'last' | 'none'
type Fate = 'loaded' | 'duplicate' | 'conflict' | 'rejected'

interface Rule {
  by: (row: Row) => string
  keep: Keep
  versioned: boolean
}

const files = fc.record({
  rows: fc.array(
    fc.record({
      k: fc.constantFrom('a', 'b', 'c'),
      u: fc.constantFrom('', 'x', 'y'),
      n: fc.constantFrom('', '1', '2'),
      v: fc.constantFrom('', '1'),
    }),
    { maxLength: 12 },
  ),
  keep: fc.constantFrom<Keep>('first', 'last', 'none'),
  unique: fc.constantFrom<Choice['unique']>(undefined, 'u', 'k'),
  upsert: fc.boolean(),
  versioned: fc.boolean(),
})

/** What must become of each row, said row by row. */
function expectedFates(rows: readonly Row[], rules: readonly Rule[]): Fate[] {
  const fates = rows.map((): Fate => 'loaded')
  for (const { by, keep, versioned } of rules) {
    const left = rows.flatMap((row, index) => (fates[index] === 'loaded' ? [{ row, index }] : []))
    for (const key of new Set(left.map(({ row }) => by(row)))) {
      const group = left.filter(({ row }) => by(row) === key)
      const newest = versioned
        ? group
            .map(({ row }) => row.n)
            .sort()
            .at(-1)
        : undefined
      const running = group.filter(({ row }) => !versioned || row.n === newest)
      const winner = keep === 'last' ? running.at(-1) : running[0]
      if (!winner) continue
      const differs = ({ row }: { row: Row }) => JSON.stringify(row) !== JSON.stringify(winner.row)
      const inDoubt = running.filter(differs)
      for (const one of group) {
        if (keep === 'none' && inDoubt.length > 0) fates[one.index] = 'rejected'
        else if (one !== winner) fates[one.index] = inDoubt.includes(one) ? 'conflict' : 'duplicate'
      }
    }
  }
  return fates
}

interface Choice {
  keep: Keep
  unique: 'u' | 'k' | undefined
  upsert: boolean
  versioned: boolean
}

function rulesOf({ keep, unique, upsert, versioned }: Choice): Rule[] {
  const byUnique: Rule[] = unique
    ? [{ by: (row) => row[unique], keep, versioned: upsert && versioned && unique === 'k' }]
    : []
  if (!upsert || unique === 'k') return byUnique
  return [...byUnique, { by: (row: Row) => row.k, keep: 'last' as const, versioned }]
}

test('each record is loaded, a duplicate, a conflict or a reject, as a naive implementation of the rules finds', async () => {
  const seen = new Set<Fate>()
  await fc.assert(
    fc.asyncProperty(files, async ({ rows, ...choice }) => {
      const { keep, unique, upsert, versioned } = choice
      const definition = definitionWith(
        [
          { name: 'k', type: 'text', required: true },
          { name: 'u', type: 'text' },
          { name: 'n', type: 'integer' },
          { name: 'v', type: 'integer' },
        ],
        {
          ...(unique ? { unique: { columns: [unique], keep } } : {}),
          ...(upsert ? { loadMode: 'upsert', key: ['k'], ...(versioned ? { versionColumn: 'n' } : {}) } : {}),
        },
      )
      const duck = await openTestDuck()
      try {
        const { clean, bad, duplicates, conflicts } = await validateIn(duck, definition, rows)
        const found = new Map<number, Fate>([
          ...clean.map(({ _rec }): [number, Fate] => [Number(_rec), 'loaded']),
          ...bad.map(({ record }): [number, Fate] => [record, 'rejected']),
          ...duplicates.map(({ record }): [number, Fate] => [record, 'duplicate']),
          ...conflicts.flatMap(({ record, reasons }): [number, Fate][] =>
            reasons.some(({ code }) => code === 'conflict') ? [[record, 'conflict']] : [],
          ),
        ])
        const expected = expectedFates(rows, rulesOf(choice))
        expect(rows.map((_, index) => found.get(index + 1))).toEqual(expected)
        for (const { reasons } of [...bad, ...conflicts]) expect(reasons.length).toBeGreaterThan(0)
        for (const fate of expected) seen.add(fate)
      } finally {
        await duck.close()
      }
    }),
    { numRuns: LONG ? 200 : 20 },
  )
  expect([...seen].sort()).toEqual(['conflict', 'duplicate', 'loaded', 'rejected'])
})
