import { describe, expect, test } from 'vitest'
import { ClientMessage, ServerMessage, sequence, TICKS_PER_VERSION } from './progress.ts'

describe('messages of the WebSocket', () => {
  test.each([
    { type: 'subscribe', topic: 'job', id: crypto.randomUUID(), after: 3 },
    { type: 'subscribe', topic: 'jobs' },
    { type: 'unsubscribe', topic: 'jobs' },
    { type: 'ping' },
  ])('of a client are parsed: %o', (message) => {
    expect(ClientMessage.parse(message)).toEqual(message)
  })

  test.each([
    { type: 'snapshot', topic: 'jobs', jobs: [] },
    { type: 'error', code: 'not_found', detail: 'x', id: 'y' },
    { type: 'pong' },
    { type: 'heartbeat' },
  ])('of the server are parsed: %o', (message) => {
    expect(ServerMessage.parse(message)).toEqual(message)
  })

  test('for one job need its id', () => {
    expect(ClientMessage.safeParse({ type: 'subscribe', topic: 'job' }).success).toBe(false)
  })
})

test('every message of a version is newer than all messages of the version before', () => {
  expect(sequence(2, 0)).toBeGreaterThan(sequence(1, TICKS_PER_VERSION * 10))
})
