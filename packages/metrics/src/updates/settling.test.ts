import { randomUUID } from 'node:crypto'
import type { DayRange } from '@aduana/contracts/dates'
import { OPEN_RUNS, RunStatus } from '@aduana/contracts/metrics/runs'
import { referencesOf } from '@aduana/metric-compute/expressions/references'
import { sample } from '@aduana/testkit/long'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readGraph } from '../registry/graph.ts'
import { expirePendingRuns } from '../runs/expire.ts'
import { timeOutRuns } from '../runs/heartbeat-timeouts.ts'
import { retryRun } from '../runs/manual.ts'
import { DATASETS, day, type Flow, openFlow, type UpdateOf } from '../testing/flow.ts'

/** A random generator with a seed. */
function generator(seed: number) {
  let state = seed
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
  const below = (n: number) => Math.floor(next() * n)
  const pick = <T>(list: readonly T[]): T => {
    const found = list[below(list.length)]
    if (found === undefined) throw new Error('nothing to pick')
    return found
  }
  return { next, below, pick }
}

let flow: Flow
beforeEach(async () => {
  flow = await openFlow()
})
afterEach(() => flow.drop())

const LEVELS = [10, 12, 10, 8]

/** Returns forty metrics in four levels; each uses one to three of a lower level, or datasets. */
function randomGraph(random: ReturnType<typeof generator>): Record<string, string[]> {
  const metrics: Record<string, string[]> = {}
  const levels: string[][] = [[...DATASETS]]
  for (const [level, size] of LEVELS.entries()) {
    const here = Array.from({ length: size }, (_, n) => `l${level}_m${n}`)
    for (const code of here) {
      const parts = new Set([random.pick(levels.at(-1) ?? [])])
      while (random.next() < 0.5) parts.add(random.pick(levels.flat()))
      metrics[code] = [...parts]
    }
    levels.push(here)
  }
  return metrics
}

interface Sent extends UpdateOf {
  dataset: string
  key: string
  at: string
  days: DayRange[]
}

const START = Date.parse('2026-02-01T00:00:00Z')
const DAY_MS = 86_400_000

/** Returns updates of the datasets over 20 days, each twice, in random order. */
function randomUpdates(random: ReturnType<typeof generator>, count: number): Sent[] {
  const all = Array.from({ length: count }, (): Sent => {
    const at = new Date(START + random.below(20 * 24) * 3_600_000).toISOString()
    const changed = new Date(START - random.below(30) * DAY_MS).toISOString().slice(0, 10)
    return { dataset: random.pick(DATASETS), key: randomUUID(), at, days: day(changed) }
  })
  return [...all, ...all].sort(() => random.next() - 0.5)
}

const daysOf = (ranges: readonly DayRange[]) => ranges.flatMap(({ from }) => from)

test.each(sample([1, 2, 3], 1))(
  'updates in any order, repeated and concurrent, settle (seed %i)',
  async (seed) => {
    const random = generator(seed)
    await flow.save(randomGraph(random))
    const updates = randomUpdates(random, 24)
    const sending = [...updates]
    await Promise.all(Array.from({ length: 3 }, () => act(random, sending)))
    await flow.work()
    await holds(updates)
    // What still waits says for what; once it has expired and was retried, everything is covered.
    await flow.inTx((tx) => expirePendingRuns(tx, new Date('2026-12-31T00:00:00Z')))
    for (let left = await leftOver(); left !== undefined; left = await leftOver()) {
      const { id } = left
      await flow.inTx((tx) => retryRun(tx, id, null))
      await flow.work()
    }
    const open = await flow.pool.query('select status from metric_runs where status = any ($1)', [OPEN_RUNS])
    expect(open.rows.filter(({ status }) => status !== 'PENDING')).toEqual([])
    await holds(updates)
  },
  240_000,
)

async function leftOver(): Promise<{ id: string } | undefined> {
  const found = await flow.pool.query<{ id: string }>(
    `select id from metric_runs where status in ('EXPIRED', 'FAILED') and taken_over_by is null
     order by created_at limit 1`,
  )
  return found.rows[0]
}

/** Hours that pass for heartbeat timeouts. */
let hours = 0
const silence = () => {
  hours += 1
  return flow.inTx((tx) => timeOutRuns(tx, new Date(Date.now() + hours * 3_600_000)))
}

/**
 * Send updates, begin runs, finish runs, let all runners that are at work die, whichever comes, until nothing is left to
 * do; so runs are long under way while others begin and end.
 */
async function act(random: ReturnType<typeof generator>, sending: Sent[]): Promise<void> {
  for (;;) {
    const next = random.next() < 0.3 ? sending.pop() : undefined
    if (next) await flow.update(next.dataset, next)
    const open = await flow.pool.query<{ id: string; status: string }>(
      `select id, status from metric_runs where status in ('REQUESTED', 'RUNNING', 'TIMED_OUT') order by id`,
    )
    if (open.rows.length === 0 && sending.length === 0) return
    if (open.rows.length === 0) continue
    const { id, status } = random.pick(open.rows)
    if (random.next() < 0.01 || open.rows.every((run) => run.status === 'TIMED_OUT')) await silence()
    else if (status === 'TIMED_OUT') continue
    else if (status === 'REQUESTED') await flow.begin(id)
    else await flow.finish(id)
  }
}

interface Row {
  metric: string
  id: string
  status: string
  days: string[]
  output: string[] | null
  lacks: number
  taken_over_by: string | null
}

/** Every metric whose dataset, or input metric, changed on a day has a run for that day that succeeded, or one that says why not. */
async function holds(updates: readonly Sent[]): Promise<void> {
  const rows = await flow.pool.query<Row>(`select m.code as metric, r.id, r.status, r.taken_over_by,
      array(select d::date::text from unnest(r.days) x, generate_series(lower(x), upper(x) - 1, interval '1 day') d) as days,
      array(select d::date::text from unnest(r.output_days) x, generate_series(lower(x), upper(x) - 1, interval '1 day') d) as output,
      (select count(*)::int from metric_run_pending_datasets p where p.run_id = r.id and p.satisfied_by is null) as lacks
    from metric_runs r join metrics m on m.id = r.metric_id`)
  const known = await flow.pool.query<{ n: number }>('select count(*)::int as n from dataset_updates')
  expect(known.rows[0]?.n).toBeGreaterThanOrEqual(new Set(updates.map(({ key }) => key)).size)
  for (const row of rows.rows) {
    RunStatus.parse(row.status)
    if (row.status === 'PENDING') expect(row.lacks).toBeGreaterThan(0)
    else expect(['SUCCEEDED', 'EXPIRED', 'FAILED']).toContain(row.status)
  }
  const { metrics, places } = await readGraph(flow.db)
  const told = (metric: string, changed: string) =>
    rows.rows.some((row) => row.metric === metric && row.days.includes(changed) && row.taken_over_by === null)
  const missing: string[] = []
  for (const [code, { definition }] of metrics) {
    const references = referencesOf(definition.expression)
    const datasets = references.series.flatMap((series) => places.get(series.code)?.definition.code ?? [])
    for (const update of updates.filter(({ dataset }) => datasets.includes(dataset)))
      for (const changed of daysOf(update.days)) if (!told(code, changed)) missing.push(`${code} ${changed}`)
    for (const input of references.metrics)
      for (const run of rows.rows.filter((row) => row.metric === input.code && row.status === 'SUCCEEDED'))
        for (const changed of run.output ?? []) if (!told(code, changed)) missing.push(`${code} ${changed}`)
  }
  expect(missing).toEqual([])
  await sequence()
}

/** After the last success of an input metric, its dependents have started again: they have not read old values. */
async function sequence(): Promise<void> {
  const stale = await flow.pool.query(`
    select m.code, b.days::text from metric_runs b join metric_dependencies d on d.needs_metric_id = b.metric_id
      join metrics m on m.id = d.metric_id
    where b.status = 'SUCCEEDED' and not isempty(b.output_days) and not (b.output_days <@ coalesce((
      select range_agg(a.days) from metric_runs a where a.metric_id = d.metric_id and a.taken_over_by is null
        and (a.status in ('PENDING', 'EXPIRED', 'FAILED') or (a.status = 'SUCCEEDED' and a.started_at >= b.completed_at))), '{}'))`)
  expect(stale.rows).toEqual([])
}
