import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { Column, CrossRule } from './dataset-definition.ts'
import { Moment } from './dates.ts'
import { problemText, readInput } from './input-problems.ts'
import { ImportForm, JobQuery } from './jobs.ts'

const told = (schema: z.ZodType, input: unknown) =>
  Object.fromEntries((readInput(schema, input).problems ?? []).map(({ field, message }) => [field, message]))

describe('the response to an invalid input contains', () => {
  test.each<[string, z.ZodType, unknown, Record<string, string>]>([
    ['what is missing', z.object({ a: z.string() }), {}, { a: 'is missing; expected text' }],
    ['the whole', z.object({}), undefined, { '': 'is missing; expected an object' }],
    ['null', z.object({ a: z.int() }), { a: null }, { a: 'is null; expected a whole number' }],
    [
      'empty text',
      z.object({ a: z.string().min(1) }),
      { a: '' },
      { a: 'is empty; expected at least 1 character' },
    ],
    [
      'the kind',
      z.array(z.boolean()),
      [1, [2]],
      { '[0]': 'is 1; expected true or false', '[1]': 'is a list of 1 entry; expected true or false' },
    ],
    [
      'the choices',
      z.object({ a: z.enum(['x', 'y']) }),
      { a: 'z' },
      { a: 'is "z"; expected one of "x", "y"' },
    ],
    [
      'the bounds',
      z.object({ a: z.coerce.number().max(5) }),
      { a: '7' },
      { a: 'is "7"; expected a number of 5 or less' },
    ],
    [
      'a number that is none',
      z.object({ a: z.coerce.number() }),
      { a: 'x' },
      { a: 'is "x"; expected a number' },
    ],
    [
      'the form',
      z.object({ a: z.iso.date() }),
      { a: '2026-02-30' },
      { a: 'is "2026-02-30"; expected a day that exists, such as 2026-01-31' },
    ],
    [
      'invisible characters',
      z.object({ a: z.int() }),
      { a: 'a\u200b\0' },
      { a: 'is "aU+200BU+0000"; expected a whole number' },
    ],
    [
      'known fields',
      z.strictObject({ a: z.int().optional() }),
      { b: 1, c: 2 },
      { b: 'is not a known field; known fields are a', c: 'is not a known field; known fields are a' },
    ],
    [
      'either kind',
      z.union([z.string(), z.int()]),
      [],
      { '': 'is a list of 0 entries; expected text or a whole number' },
    ],
    [
      'words of the schema',
      z.object({ a: Moment }),
      { a: 'today' },
      {
        a: 'is "today"; it must be a time with its zone, such as 2026-01-31T05:00:00Z or 2026-01-31T05:00:00-05:00',
      },
    ],
    [
      'no password',
      z.object({ password: z.string().min(8) }),
      { password: 'hunter2' },
      { password: 'is a text of 7 characters; expected at least 8 characters' },
    ],
    [
      'many at once',
      JobQuery,
      { limit: 'x', status: 'DONE', page: '2' },
      {
        limit: 'is "x"; expected a whole number from 1 to 500',
        status: expect.stringMatching(/^is "DONE"; expected one of "QUEUED"/),
        page: expect.stringMatching(/^is not a known field; known fields are status,/),
      },
    ],
    [
      'form fields',
      ImportForm,
      { dataset: 'x', encoding: 'utf8', priority: '1000' },
      {
        encoding: expect.stringMatching(/^is "utf8"; expected one of "utf-8"/),
        priority: 'is "1000"; it must be a whole number from -100 to 100',
      },
    ],
    [
      'the kind of a column',
      z.object({ columns: z.array(Column) }),
      { columns: [{ name: 'a', type: 'txt' }] },
      { 'columns[0].type': expect.stringMatching(/^is "txt"; expected one of "text", "integer"/) },
    ],
    [
      'the operators of a condition',
      z.object({ rules: z.array(CrossRule) }),
      { rules: [{ code: 'c', message: 'm', assert: { op: '~' } }] },
      { 'rules[0].assert.op': expect.stringMatching(/^is "~"; expected one of /) },
    ],
    [
      'the alternative that comes closest',
      z.object({ rules: z.array(CrossRule) }),
      { rules: [{ code: 'c', message: 'm', assert: { op: '<', left: { value: 1 }, right: { valeu: 2 } } }] },
      expect.objectContaining({}),
    ],
  ])('%s', (_what, schema, input, expected) => {
    expect(told(schema, input)).toEqual(expected)
  })

  test('each field, what was found and what is expected, and one text for everything', () => {
    const { problems = [] } = readInput(JobQuery, { limit: 'x', status: 'DONE' })
    expect(problems).toContainEqual({
      ...{ field: 'limit', message: 'is "x"; expected a whole number from 1 to 500' },
      ...{ found: '"x"', expected: 'a whole number from 1 to 500' },
    })
    expect(problemText(problems, 'The query string')).toMatch(
      /"status" is "DONE"; expected one of .*\. "limit" is "x"; expected a whole number from 1 to 500\.$/,
    )
    expect(problemText([{ field: '', message: 'is missing' }], 'The body')).toBe('The body is missing.')
  })
})
