import type { Condition } from '@aduana/contracts/dataset-definition'
import { describe, expect, test } from 'vitest'
import { type ColumnInput, definitionWith } from '../testing/definitions.ts'
import { type TextRecord, validate } from '../testing/validate.ts'

describe('rules over several columns', () => {
  const columns: ColumnInput[] = [
    { name: 'a', type: 'integer' },
    { name: 'b', type: 'decimal', precision: 38, scale: 37 },
    { name: 'kind', type: 'text' },
    { name: 'from_day', type: 'date' },
    { name: 'to_day', type: 'date' },
    { name: 'done', type: 'boolean' },
    { name: 'at', type: 'timestamp', formats: ['ISO8601'] },
  ]
  const broken = async (assert: Condition, record: TextRecord, when?: Condition) => {
    const rule = { code: 'rule', message: "it's wrong", assert, ...(when ? { when } : {}) }
    const { totals } = await validate(definitionWith(columns, { rules: [rule] }), [record])
    return totals.rejected === 1
  }
  const left = { column: 'a' }

  test('compare columns and constants of every type', async () => {
    expect(
      await broken(
        { op: '<=', left: { column: 'from_day' }, right: { column: 'to_day' } },
        { from_day: '2026-01-02', to_day: '2026-01-01' },
      ),
    ).toBe(true)
    expect(
      await broken(
        { op: '>', left: { column: 'from_day' }, right: { value: '2026-01-01' } },
        { from_day: '2026-01-01' },
      ),
    ).toBe(true)
    expect(
      await broken({ op: '=', left: { column: 'kind' }, right: { value: "x' or 'a'='a" } }, { kind: 'y' }),
    ).toBe(true)
    expect(await broken({ op: '=', left: { column: 'done' }, right: { value: true } }, { done: 'no' })).toBe(
      true,
    )
    expect(
      await broken(
        { op: '<', left: { column: 'at' }, right: { value: '2026-01-01T00:00:00Z' } },
        { at: '2026-01-01T00:00:00Z' },
      ),
    ).toBe(true)
    expect(await broken({ op: '!=', left, right: { value: 5 } }, { a: '5' })).toBe(true)
    expect(await broken({ op: '=', left, right: { column: 'b' } }, { a: '2147483647', b: '1' })).toBe(true)
    expect(await broken({ op: '=', left, right: { column: 'b' } }, { a: '1', b: '1.000' })).toBe(false)
    expect(
      await broken(
        { op: '<', left: { sum: ['a', 'b'] }, right: { value: 1e30 } },
        { a: '2147483647', b: '9.9' },
      ),
    ).toBe(false)
  })

  test('are not broken by an empty cell, except rules about presence', async () => {
    expect(await broken({ op: '>', left, right: { value: 0 } }, {})).toBe(false)
    expect(await broken({ op: 'not', of: { op: '>', left, right: { value: 0 } } }, {})).toBe(false)
    expect(await broken({ op: 'present', column: 'a' }, {})).toBe(true)
    expect(await broken({ op: 'not', of: { op: 'present', column: 'a' } }, { a: '1' })).toBe(true)
    const either: Condition = {
      op: 'any',
      of: [
        { op: 'present', column: 'a' },
        { op: 'present', column: 'kind' },
      ],
    }
    expect(await broken(either, { kind: 'x' })).toBe(false)
    expect(await broken(either, {})).toBe(true)
    expect(await broken({ op: 'all', of: [either, { op: 'present', column: 'a' }] }, { kind: 'x' })).toBe(
      true,
    )
  })

  test('apply only where their condition is met', async () => {
    const when: Condition = { op: '=', left: { column: 'kind' }, right: { value: 'strict' } }
    const assert: Condition = { op: 'present', column: 'a' }
    expect(await broken(assert, { kind: 'strict' }, when)).toBe(true)
    expect(await broken(assert, { kind: 'loose' }, when)).toBe(false)
    expect(await broken(assert, {}, when)).toBe(false)
  })
})
