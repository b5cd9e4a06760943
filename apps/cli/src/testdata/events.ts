import { randomInt, randomUUID } from 'node:crypto'
import { addDays, type Day, daysBetween } from '@aduana/contracts/dates'
import type { ProjectionUpdate } from '@aduana/contracts/metrics/events'
import { ProjectionAccepted } from '@aduana/contracts/metrics/http-runs'
import { type Api, post } from '../api/api.ts'
import { listJobs } from '../api/calls.ts'
import { twoMonths } from '../sample/sample.ts'

const DATASETS = ['production', 'orders'] as const
const AT_ONCE = 8

/** Sends `count` dataset updates, eight at a time, each for one day of the period. Returns the elapsed seconds. */
export async function sendEvents(api: Api, count: number, period: { from: Day; to: Day }): Promise<number> {
  const startedAt = performance.now()
  let sent = 0
  const send = async () => {
    while (sent < count) {
      sent += 1
      await post(api, '/api/projections', ProjectionAccepted, eventOf(sent, period))
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, send))
  return (performance.now() - startedAt) / 1000
}

function eventOf(number: number, { from, to }: { from: Day; to: Day }): ProjectionUpdate {
  const day = addDays(from, randomInt(daysBetween(from, to)))
  return {
    eventKey: `testdata-${randomUUID()}`,
    dataset: DATASETS[number % DATASETS.length] ?? DATASETS[0],
    occurredAt: new Date().toISOString(),
    days: [{ from: day, to: addDays(day, 1) }],
    rows: randomInt(1000),
  }
}

/** Returns the window of the newest import of production that has one, so that there is data to compute; else the last two months. */
export async function busyPeriod(api: Api): Promise<{ from: Day; to: Day }> {
  for (const { parameters } of await listJobs(api, { dataset: 'production', limit: 50 })) {
    const { from, to } = parameters
    if (typeof from === 'string' && typeof to === 'string') return { from, to }
  }
  const now = new Date()
  return twoMonths(now.getUTCFullYear(), now.getUTCMonth() - 2)
}
