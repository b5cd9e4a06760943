import { describe, expect, test } from 'vitest'
import { type ColumnInput, definitionWith } from '../testing/definitions.ts'
import { validate } from '../testing/validate.ts'

describe('uniqueness', () => {
  const columns: ColumnInput[] = [
    { name: 'k', type: 'text' },
    { name: 'n', type: 'integer' },
    { name: 'v', type: 'integer' },
  ]

  test('keeps the first or the last, and ignores rejected records', async () => {
    const records = [
      { k: 'a', v: 'bad' },
      { k: 'a', v: '1' },
      { k: 'b' },
      { k: 'a', v: ' 1' },
      { k: 'a', v: '01' },
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

  test('and the key of an upsert are checked in order: the second check sees only the winners of the first', async () => {
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
    expect(result.duplicates).toEqual([])
    expect(result.conflicts.map(({ record, reasons }) => [record, reasons.map(({ code }) => code)])).toEqual([
      [1, ['conflict', 'kept']],
      [2, ['conflict']],
      [3, ['kept']],
    ])
    expect(result.clean.map(({ _rec }) => _rec)).toEqual(['3', '4'])
  })

  test('by a version: the record with the greatest wins, and one without a version loses', async () => {
    const versioned = definitionWith([{ name: 'k', type: 'text', required: true }, ...columns.slice(1)], {
      loadMode: 'upsert',
      key: ['k'],
      versionColumn: 'v',
    })
    const { clean } = await validate(versioned, [
      { k: 'a', v: '2' },
      { k: 'a', v: '1' },
      { k: 'a' },
      { k: 'b' },
      { k: 'b', v: '-5' },
    ])
    expect(clean.map(({ _rec }) => _rec)).toEqual(['1', '5'])
  })

  describe('of records that agree in what must be unique but differ elsewhere', () => {
    const records = [
      { k: 'a', v: '1' },
      { k: 'b', v: '1' },
      { k: 'a', n: '5', v: '2' },
      { k: 'a', v: '1' },
      { k: 'b', v: '01' },
      { k: 'a', n: '5', v: '2' },
    ]
    const keeping = (keep: 'first' | 'last' | 'none') =>
      validate(definitionWith(columns, { unique: { columns: ['k'], keep } }), records)

    test('the first is kept; the others are conflicts with what differs, equal ones duplicates', async () => {
      const { totals, clean, duplicates, conflicts, conflicting } = await keeping('first')
      expect(totals).toEqual({ records: 6, good: 2, rejected: 0, duplicates: 2, conflicts: 2 })
      expect(clean.map(({ _rec }) => _rec)).toEqual(['1', '2'])
      expect(duplicates).toEqual([
        { record: 4, winner: 1 },
        { record: 5, winner: 2 },
      ])
      const differences = [
        {
          column: 'n',
          code: 'conflict',
          message: '"5" here, but no value in line 2, which takes precedence',
          value: '5',
        },
        {
          column: 'v',
          code: 'conflict',
          message: '"2" here, but "1" in line 2, which takes precedence',
          value: '2',
        },
      ]
      expect(conflicts).toEqual([
        {
          record: 1,
          reasons: [
            {
              column: null,
              code: 'kept',
              message: 'takes precedence; 2 records differ, the first is in line 4',
              value: null,
            },
          ],
        },
        { record: 3, reasons: differences },
        { record: 6, reasons: differences },
      ])
      expect(conflicting).toEqual({
        lost: 2,
        rejected: 0,
        line: 4,
        column: 'n',
        message: '"5" here, but no value in line 2, which takes precedence',
      })
    })

    test('the last is kept if the definition requires that', async () => {
      const { totals, clean, duplicates, conflicts } = await keeping('last')
      expect(totals).toEqual({ records: 6, good: 2, rejected: 0, duplicates: 2, conflicts: 2 })
      expect(clean.map(({ _rec }) => _rec)).toEqual(['5', '6'])
      expect(duplicates).toEqual([
        { record: 2, winner: 5 },
        { record: 3, winner: 6 },
      ])
      expect(conflicts.map(({ record }) => record)).toEqual([1, 4, 6])
    })

    test('none is kept if the definition requires that: all are rejected, and other equal records are duplicates', async () => {
      const { totals, clean, duplicates, bad, conflicting } = await keeping('none')
      expect(totals).toEqual({ records: 6, good: 1, rejected: 4, duplicates: 1, conflicts: 0 })
      expect(clean.map(({ _rec }) => _rec)).toEqual(['2'])
      expect(duplicates).toEqual([{ record: 5, winner: 2 }])
      expect(bad.map(({ record, reasons }) => [record, reasons.at(-1)?.message])).toEqual([
        [1, '"1" here, but "2" in line 4; none of them is loaded'],
        [3, '"2" here, but "1" in line 2; none of them is loaded'],
        [4, '"1" here, but "2" in line 4; none of them is loaded'],
        [6, '"2" here, but "1" in line 2; none of them is loaded'],
      ])
      expect(conflicting).toMatchObject({ lost: 0, rejected: 4, line: 2 })
    })

    test('a record that breaks a rule keeps its own reasons beside those that conflict', async () => {
      const definition = definitionWith(columns, { unique: { columns: ['k'], keep: 'none' } })
      const { bad } = await validate(definition, [
        { k: 'a', v: 'x' },
        { k: 'a', v: '1' },
        { k: 'a', v: '2' },
      ])
      expect(bad.map(({ record, reasons }) => [record, reasons.map(({ code }) => code)])).toEqual([
        [1, ['not_an_integer']],
        [2, ['conflict']],
        [3, ['conflict']],
      ])
      const without = await validate(definition, [
        { k: 'a', v: 'x' },
        { k: 'a', v: '1' },
      ])
      expect(without.totals).toMatchObject({ good: 1, rejected: 1, conflicts: 0 })
    })
  })

  describe('of records with the key of an upsert', () => {
    const keyed: ColumnInput[] = [{ name: 'k', type: 'text', required: true }, ...columns.slice(1)]
    const upsert = { loadMode: 'upsert' as const, key: ['k'], versionColumn: 'n' }
    const records = [
      { k: 'a', n: '1', v: '1' },
      { k: 'a', n: '2', v: '2' },
      { k: 'a', n: '2', v: '3' },
      { k: 'b', v: '1' },
      { k: 'b', v: '2' },
      { k: 'c', n: '1', v: '1' },
      { k: 'c', n: '2', v: '2' },
    ]

    test('an older version is outdated; the same version with other content is a conflict, also without a version', async () => {
      const { clean, duplicates, conflicts } = await validate(definitionWith(keyed, upsert), records)
      expect(clean.map(({ _rec }) => _rec)).toEqual(['3', '5', '7'])
      expect(duplicates).toEqual([
        { record: 1, winner: 3 },
        { record: 6, winner: 7 },
      ])
      expect(conflicts.map(({ record, reasons }) => [record, reasons[0]?.code])).toEqual([
        [2, 'conflict'],
        [3, 'kept'],
        [4, 'conflict'],
        [5, 'kept'],
      ])
    })

    test('none is loaded of a key with an ambiguous newest version, if the key must be unique', async () => {
      const definition = definitionWith(keyed, { ...upsert, unique: { columns: ['k'], keep: 'none' } })
      const { clean, duplicates, bad } = await validate(definition, records)
      expect(clean.map(({ _rec }) => _rec)).toEqual(['7'])
      expect(duplicates).toEqual([{ record: 6, winner: 7 }])
      expect(bad.map(({ record }) => record)).toEqual([1, 2, 3, 4, 5])
    })
  })
})

describe('the digest of an append', () => {
  const columns: ColumnInput[] = [
    { name: 'k', type: 'text' },
    { name: 'n', type: 'decimal', precision: 5, scale: 2 },
  ]
  const digestOf = async (records: Record<string, string>[], more = {}) =>
    (await validate(definitionWith(columns, { loadMode: 'append', ...more }), records)).digest

  test('is the same for the same rows in any order and spelling, and for no others', async () => {
    const rows = [{ k: 'a', n: '1.5' }, { k: 'b' }]
    const digest = await digestOf(rows)
    expect(digest).toMatch(/^[0-9a-f]{32}$/)
    expect(await digestOf([{ k: ' b' }, { k: 'a', n: '1.50' }])).toBe(digest)
    expect(await digestOf([...rows, { k: 'c', n: 'bad' }])).toBe(digest)
    for (const others of [
      [{ k: 'a', n: '1.5' }, { k: 'c' }],
      [...rows, { k: 'b' }],
      [{ k: 'a' }, { k: 'b', n: '1.5' }],
    ])
      expect(await digestOf(others)).not.toBe(digest)
  })

  test('is computed neither without rows nor for other modes', async () => {
    expect(await digestOf([])).toBeUndefined()
    expect(await digestOf([{ k: 'a' }], { loadMode: 'upsert', key: ['k'] })).toBeUndefined()
  })
})
