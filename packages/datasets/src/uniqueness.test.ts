import { describe, expect, test } from 'vitest'
import { type ColumnInput, definitionWith } from './testing/definitions.ts'
import { validate } from './testing/validate.ts'

describe('uniqueness', () => {
  const columns: ColumnInput[] = [
    { name: 'k', type: 'text' },
    { name: 'n', type: 'integer' },
    { name: 'v', type: 'integer' },
  ]

  test('keeps the first or the last, and never compares with a bad record', async () => {
    const records = [
      { k: 'a', v: 'bad' },
      { k: 'a', v: '1' },
      { k: 'b' },
      { k: 'a', v: '2' },
      { k: 'a', v: '3' },
    ]
    const first = await validate(definitionWith(columns, { unique: { columns: ['k'] } }), records)
    expect(first.duplicates).toEqual([
      { record: 4, winner: 2 },
      { record: 5, winner: 2 },
    ])
    const last = await validate(
      definitionWith(columns, { unique: { columns: ['k'], keep: 'last' } }),
      records,
    )
    expect(last.duplicates).toEqual([
      { record: 2, winner: 5 },
      { record: 4, winner: 5 },
    ])
  })

  test('and the key of an upsert are two rounds: the second sees only the winners of the first', async () => {
    const definition = definitionWith([{ name: 'k', type: 'text', required: true }, ...columns.slice(1)], {
      unique: { columns: ['n'] },
      loadMode: 'upsert',
      key: ['k'],
    })
    const result = await validate(definition, [
      { k: 'a', n: '1' },
      { k: 'b', n: '1' },
      { k: 'a', n: '2' },
      { k: 'b', n: '3' },
    ])
    expect(result.duplicates).toEqual([
      { record: 1, winner: 3 },
      { record: 2, winner: 1 },
    ])
    expect(result.clean.map(({ _rec }) => _rec)).toEqual(['3', '4'])
  })
})
