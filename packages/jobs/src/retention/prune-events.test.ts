import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type JobsDatabase, openJobsDatabase } from '../testing/jobs.ts'
import { pruneEvents } from './prune-events.ts'

let database: JobsDatabase
beforeAll(async () => {
  database = await openJobsDatabase()
})
afterAll(() => database.drop())
beforeEach(() => database.clear())

const prune = (days: number) => pruneEvents(database.db, { days, now: new Date() })

async function addEvent(
  key: string,
  days: number,
  {
    job = null,
    outbound = false,
    sent = false,
  }: { job?: string | null; outbound?: boolean; sent?: boolean } = {},
): Promise<void> {
  await database.pool.query(
    `insert into event_log (event_key, type, body, job_id, occurred_at, outbound, sent_at)
     values ($1, 'test', '{}', $2, now() - make_interval(days => $3), $4, case when $5 then now() end)`,
    [key, job, days, outbound, sent],
  )
}

const keys = async () =>
  (await database.pool.query('select event_key from event_log order by id')).rows.map((row) => row.event_key)

test('old events are removed, except those that are not sent or belong to an open job', async () => {
  const open = await database.addJob({ status: 'PROCESSING' })
  const ended = await database.addJob({ status: 'CANCELLED', completed_at: new Date() })
  await addEvent('old', 31)
  await addEvent('sent', 31, { outbound: true, sent: true })
  await addEvent('unsent', 400, { outbound: true })
  await addEvent('of an open job', 400, { job: open })
  await addEvent('of an ended job', 31, { job: ended })
  await addEvent('young', 29)
  expect(await prune(30)).toBe(3)
  expect(await keys()).toEqual(['unsent', 'of an open job', 'young'])
  expect(await prune(30)).toBe(0)
})

test('any number of events are removed, also behind events that stay', async () => {
  await addEvent('unsent', 40, { outbound: true })
  await database.pool.query(
    `insert into event_log (event_key, type, body, occurred_at)
     select 'event ' || n, 'test', '{}', now() - interval '40 days' from generate_series(1, 4500) n`,
  )
  await addEvent('young', 1)
  expect(await prune(30)).toBe(4500)
  expect(await keys()).toEqual(['unsent', 'young'])
})

test('the log refuses to delete events that are younger than a week', async () => {
  await addEvent('young', 6)
  await expect(prune(5)).rejects.toThrow('younger than seven days')
  expect(await keys()).toEqual(['young'])
})

test('an event that is being sent stays, and pruning does not wait for it', async () => {
  await addEvent('unsent', 40, { outbound: true })
  const client = await database.pool.connect()
  try {
    await client.query('begin')
    await client.query(`select from event_log where event_key = 'unsent' for update`)
    expect(await prune(30)).toBe(0)
    await client.query('commit')
  } finally {
    client.release()
  }
})
