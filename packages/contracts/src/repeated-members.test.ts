import { expect, test } from 'vitest'
import { repeatedMember } from './repeated-members.ts'

test.each([
  ['{"a":1,"a":2}', 'a'],
  ['{"a":{"b":1,"c":[{"b":1,"b":1}]}}', 'b'],
  ['{"a":1,"\\u0061":2}', 'a'],
  ['{"":1, "" :2}', ''],
  ['{"a\\"":1,"a\\\\":2,"a\\"":3}', 'a"'],
  ['{"__proto__":1,"__proto__":2}', '__proto__'],
])('finds the repeated member: %s', (json, name) => {
  expect(repeatedMember(json)).toBe(name)
})

test.each([
  '{"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}]}',
  '["a","a",{"a":"a: {\\"a\\""}]',
  '{"a":"b","b":"a","toString":1}',
  '{"a":"\\"","b":"\\\\","c":":"}',
  '"a"',
  '1',
])('finds none if names differ, or belong to different objects: %s', (json) => {
  expect(repeatedMember(json)).toBeUndefined()
})

test('a value can be nested as deeply as a body', () => {
  const depth = 100_000
  expect(repeatedMember(`${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`)).toBeUndefined()
})
