import type { QueueMessage } from '@aduana/messaging/sqs-queue'
import { createRandom } from '@aduana/testkit/random'
import { expect, test } from 'vitest'
import { day, openFlow } from '../testing/flow.ts'
import { completed, heartbeat, inboxOf, ofRun, saveExternal, started } from '../testing/messages.ts'
import { consumeMessages } from './consume.ts'

type Run = { id: string }
const EVENTS: Readonly<Record<string, (run: Run) => QueueMessage>> = {
  s: (run) => started({ ...ofRun(run), at: '2026-03-10T12:00:00Z' }),
  h: (run) => heartbeat({ ...ofRun(run), at: '2026-03-10T12:00:00Z', progress: 0.5, message: 'half' }),
  c: (run) => completed({ ...ofRun(run), status: 'succeeded', rowCount: 7, days: day('2026-03-09') }),
}

/** All orders of letters, equal ones not told apart. */
function ordersOf(letters: string): string[] {
  if (letters.length <= 1) return [letters]
  const firsts = [...new Set(letters)]
  return firsts.flatMap((first) => ordersOf(letters.replace(first, '')).map((rest) => first + rest))
}

test.each([1, 2])(
  'events of a run that arrive twice and in any order give the same result (seed %i)',
  async (seed) => {
    const flow = await openFlow()
    try {
      const orders = ordersOf('sshhcc')
      expect(orders).toHaveLength(90)
      const codes = orders.map((order) => `of_${order}`)
      await saveExternal(flow, ...codes)
      await flow.update('production')
      const runs = await flow.pool.query<{ code: string; id: string }>(
        'select m.code, r.id from metric_runs r join metrics m on m.id = r.metric_id where m.code = any ($1)',
        [codes],
      )
      const ids = new Map(runs.rows.map(({ code, id }) => [code, id]))
      // The first event of each, then the second, and so on, in groups as a queue gives them.
      const messages = Array.from({ length: 6 }, (_, at) =>
        orders.map((order) => {
          const make = EVENTS[order[at] ?? '']
          const id = ids.get(`of_${order}`)
          if (!make || id === undefined) throw new Error(`no event ${at} of ${order}`)
          return make({ id })
        }),
      ).flat()
      const random = createRandom(seed)
      const verdicts: string[] = []
      while (messages.length > 0)
        verdicts.push(...(await consumeMessages(inboxOf(flow), messages.splice(0, 1 + random.below(10)))))
      expect(new Set(verdicts)).toEqual(new Set(['done']))
      const states = await flow.pool.query(
        `select distinct r.status, r.attempt, r.row_count, r.progress, r.output_days::text, r.error, r.job_id,
         r.started_at is not null as began, r.completed_at is not null as ended
       from metric_runs r join metrics m on m.id = r.metric_id where m.code = any ($1)`,
        [codes],
      )
      expect(states.rows).toEqual([
        {
          status: 'SUCCEEDED',
          attempt: 1,
          row_count: '7',
          progress: '1.0000',
          output_days: '{[2026-03-09,2026-03-10)}',
          error: null,
          job_id: null,
          began: true,
          ended: true,
        },
      ])
      const ends = await flow.pool.query(`select from event_log where type = 'metric_run.succeeded'`)
      expect(ends.rowCount).toBe(orders.length)
    } finally {
      await flow.drop()
    }
  },
)
