import { ProblemError } from '@aduana/contracts/problems'
import { UndoResult } from '@aduana/contracts/undo'
import { cancelJob } from '@aduana/jobs/lifecycle/cancel'
import { retryJob } from '@aduana/jobs/lifecycle/retry'
import { listJobs, readJob } from '@aduana/jobs/read/jobs'
import { openFiles } from '@aduana/testkit/open-files'
import { addUndoDatasets, requestUndo, stateOf, undone } from '@aduana/testkit/undo'
import { until } from '@aduana/testkit/until'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createInProcessSystem, type InProcessSystem } from '../../testing/in-process-system.ts'

let system: InProcessSystem
beforeAll(async () => {
  system = await createInProcessSystem()
  await addUndoDatasets(system)
})
afterAll(() => system.close())

/** Returns production of some days, with `rows` rows a day and a quantity that identifies the file. */
function production(days: readonly string[], rows: number, quantity: number): string {
  const lines = days.flatMap((day) =>
    Array.from(
      { length: rows },
      (_, index) => `${day},M00${(index % 9) + 1},W0001,1,L${index},${quantity},1.5`,
    ),
  )
  return `fecha,maquina,maquinista,turno,lote,cantidad,peso\n${lines.join('\n')}\n`
}

const bring = async (content: string, form: Record<string, string> = {}, dataset = 'production') => {
  const job = await system.finished(await system.accept(content, { dataset, ...form }), 60_000)
  expect(job).toMatchObject({ status: 'COMPLETED' })
  return job
}
const state = () => stateOf(system, 'production', 'fact_production')
const query = async (text: string, values: unknown[] = []) =>
  (await system.database.pool.query(text, values)).rows
const read = (id: string) => readJob(system.database.db, system.admin, id)

/** Returns the code and details of a refusal. */
async function refusal(asked: Promise<unknown>): Promise<{ code: string; [more: string]: unknown }> {
  const error = await asked.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof ProblemError)) throw new Error(`no refusal, but ${String(error)}`)
  return { code: error.code, detail: error.message, ...error.extra }
}

describe('the undo of an import', () => {
  test('reports what it did, marks the import, and notifies the dependents of the dataset', async () => {
    const first = await bring(production(['2024-01-01', '2024-01-02'], 5, 1))
    const before = await state()
    const second = await bring(production(['2024-01-02', '2024-01-03'], 4, 2).replace('W0001', 'W0042'))
    const job = await undone(system, second.id)
    expect(job).toMatchObject({ status: 'COMPLETED', progress: 100, parent: second.id, type: 'undo' })
    expect(job.attempts.map(({ stage }) => stage)).toEqual(['load', 'fan-out'])
    const result = UndoResult.parse(job.result)
    expect(result).toMatchObject({ imports: [second.id], impossible: [] })
    expect(result.reversed).toMatchObject({ deleted: 8, restored: 5 })
    expect(result.kept).toMatchObject([{ what: 'members of dim_maquinista', count: 1 }])
    expect(await state()).toBe(before)
    expect(await read(second.id)).toMatchObject({ batchDeleted: true, undoneBy: job.id })
    expect(
      await query(`select job_id, rows::int, day::text from window_ledger where day = '2024-01-03'`),
    ).toEqual([{ job_id: second.id, rows: 0, day: '2024-01-03' }])
    expect(
      await query(
        `select cause, rows::int, days::text, fanned_out_at is not null as told from dataset_updates where job_id = $1`,
        [job.id],
      ),
    ).toEqual([{ cause: 'undo', rows: 5, days: '{[2024-01-02,2024-01-04)}', told: true }])
    expect(
      await query(`select body ->> 'undoJob' as undo from event_log where type = 'import.undone'`),
    ).toEqual([{ undo: job.id }])
    const shown = await listJobs(system.database.db, system.admin, { limit: 50 })
    expect(shown.items.map(({ id }) => id)).not.toContain(second.id)
    const all = await listJobs(system.database.db, system.admin, { limit: 50, includeUndone: true })
    expect(all.items.map(({ id }) => id)).toEqual(expect.arrayContaining([first.id, second.id]))
  })

  test('allows the same bytes to be imported again, any number of times', async () => {
    const content = production(['2024-02-01'], 3, 1)
    const before = await state()
    for (let round = 0; round < 2; round += 1) {
      const { id } = await bring(content)
      expect((await refusal(system.accept(content, { dataset: 'production' }))).code).toBe('already_imported')
      expect(await undone(system, id)).toMatchObject({ status: 'COMPLETED' })
      expect(await state()).toBe(before)
    }
  })

  test('restores whole months that were replaced', async () => {
    const days = Array.from({ length: 28 }, (_, index) => `2023-02-${String(index + 1).padStart(2, '0')}`)
    await bring(production(days, 2000, 1))
    const before = await state()
    const second = await bring(production(days, 1900, 2))
    expect(second.counts).toMatchObject({ removed: 56_000, loaded: 53_200 })
    const job = await undone(system, second.id)
    expect(UndoResult.parse(job.result).reversed).toMatchObject({ deleted: 53_200, restored: 56_000 })
    expect((await state()) === before).toBe(true)
  })

  test('reopens the rejects that its load had superseded, and closes its own', async () => {
    const bad = (content: string) => content.replace(/,1,L0,/, ',9,L0,')
    const first = await bring(bad(production(['2024-03-01'], 9, 1)))
    const second = await bring(bad(production(['2024-03-01'], 9, 2)))
    const states = async () =>
      Object.fromEntries(
        (await query('select job_id, state from quarantined_records')).map((row) => [row.job_id, row.state]),
      )
    expect(await states()).toMatchObject({ [first.id]: 'superseded', [second.id]: 'open' })
    const job = await undone(system, second.id)
    expect(await states()).toMatchObject({ [first.id]: 'open', [second.id]: 'superseded' })
    expect(UndoResult.parse(job.result).reversed).toMatchObject({ rejectsReopened: 1, rejectsSuperseded: 1 })
  })

  test('of one of several appends removes only its rows', async () => {
    const mode = { mode: 'append' }
    const imports = []
    for (const quantity of [1, 2, 3])
      imports.push(await bring(production(['2024-04-01'], quantity, quantity), mode))
    const [one, two, three] = imports.map(({ id }) => id)
    await undone(system, two ?? '')
    const day = `where fecha_contabilizacion = '2024-04-01'`
    expect(await query(`select cantidad from fact_production ${day} order by 1`)).toEqual(
      [1, 3, 3, 3].map((cantidad) => ({ cantidad })),
    )
    const owner = `select job_id, rows::int from window_ledger where day = '2024-04-01'`
    expect(await query(owner)).toEqual([{ job_id: three, rows: 4 }])
    await undone(system, three ?? '')
    expect(await query(owner)).toEqual([{ job_id: one, rows: 1 }])
  })
})

describe('later imports', () => {
  test('that own a day are named newest first, and are undone with it when unwind is requested', async () => {
    const before = await state()
    const first = await bring(production(['2024-05-01', '2024-05-02'], 3, 1))
    const second = await bring(production(['2024-05-02'], 3, 2))
    const third = await bring(production(['2024-05-02', '2024-05-03'], 3, 3))
    const other = await bring(production(['2024-05-09'], 3, 4))
    const refused = await refusal(requestUndo(system, first.id))
    expect(refused).toMatchObject({ code: 'undo_overlap', jobs: [third.id, second.id] })
    expect(refused.detail).toContain('unwind=true')
    const job = await undone(system, first.id, { unwind: true })
    // At its start, the table has 3 rows of the first and 6 of the third. Rows that it restores in between are deleted again.
    expect(UndoResult.parse(job.result)).toMatchObject({
      imports: [third.id, second.id, first.id],
      reversed: { deleted: 9, restored: 0 },
    })
    for (const { id } of [first, second, third])
      expect(await read(id)).toMatchObject({ batchDeleted: true, undoneBy: job.id })
    expect(await read(other.id)).toMatchObject({ batchDeleted: false, undoneBy: null })
    await undone(system, other.id)
    expect(await state()).toBe(before)
  })

  test('that are undone with it reopen no rejects that it closes', async () => {
    const bad = (content: string) => content.replace(/,1,L0,/, ',9,L0,')
    const first = await bring(bad(production(['2024-05-21'], 9, 1)))
    const second = await bring(bad(production(['2024-05-21'], 9, 2)))
    const job = await undone(system, first.id, { unwind: true })
    expect(UndoResult.parse(job.result)).toMatchObject({
      imports: [second.id, first.id],
      reversed: { deleted: 8, restored: 0, rejectsReopened: 0, rejectsSuperseded: 1 },
    })
    const states = `select state from quarantined_records where job_id = any ($1)`
    expect(await query(states, [[first.id, second.id]])).toEqual([
      { state: 'superseded' },
      { state: 'superseded' },
    ])
  })

  test('that load while an undo waits for the window make it fail without changes', async () => {
    const first = await bring(production(['2024-06-01'], 3, 1))
    const second = await system.accept(production(['2024-06-01'], 3, 2), {
      dataset: 'production',
      from: '2024-06-01',
      to: '2024-06-02',
      startAt: new Date(Date.now() + 3_600_000).toISOString(),
    })
    const undo = await requestUndo(system, first.id, { unwind: true })
    await query('update jobs set start_at = null where id = $1', [second])
    expect(await system.finished(second, 60_000)).toMatchObject({ status: 'COMPLETED' })
    const after = await state()
    const job = await system.finished(undo, 60_000)
    expect(job).toMatchObject({ status: 'FAILED', error: { code: 'undo_overlap', jobs: [second] } })
    expect(job.error?.detail).toContain('loaded after this undo')
    expect(await state()).toBe(after)
    await undone(system, second)
    await retryJob(system.database.db, system.admin, undo)
    expect(await system.finished(undo, 60_000)).toMatchObject({ status: 'COMPLETED' })
    expect(await read(first.id)).toMatchObject({ batchDeleted: true, undoneBy: undo })
  })

  test('that changed rows of an upsert are found in the table, and columns that others manage stay', async () => {
    const header = 'number,day,amount,changed\n'
    const first = await bring(
      `${header}A,2024-01-01,1,2024-01-01 00:00:00\nB,2024-01-01,1,2024-01-01 00:00:00\n`,
      {},
      'contracts',
    )
    await query(`update contract set processed = true where number = 'A'`)
    const before = await stateOf(system, 'contracts', 'contract')
    const second = await bring(
      `${header}A,2024-01-05,2,2024-01-02 00:00:00\nC,2024-01-05,2,2024-01-02 00:00:00\n`,
      {},
      'contracts',
    )
    await query(`update contract set processed = false where number = 'A'`)
    const third = await bring(`${header}A,2024-01-09,3,2024-01-03 00:00:00\n`, {}, 'contracts')
    const failed = await undone(system, second.id)
    expect(failed).toMatchObject({ status: 'FAILED', error: { code: 'undo_overlap', jobs: [third.id] } })
    const job = await undone(system, second.id, { unwind: true })
    expect(UndoResult.parse(job.result)).toMatchObject({
      imports: [third.id, second.id],
      reversed: { deleted: 1, restored: 1 },
    })
    expect(await query(`select number, amount, processed from contract order by 1`)).toEqual([
      { number: 'A', amount: '1.00', processed: false },
      { number: 'B', amount: '1.00', processed: false },
    ])
    await query(`update contract set processed = true where number = 'A'`)
    expect(await stateOf(system, 'contracts', 'contract')).toBe(before)
    await undone(system, first.id)
    expect(await query('select count(*)::int as n from contract')).toEqual([{ n: 0 }])
  })
})

describe('an undo is refused', () => {
  test('of a job that loaded nothing, of an undo, and a second time', async () => {
    const running = await system.accept(production(['2024-07-01'], 3, 1), {
      dataset: 'production',
      startAt: new Date(Date.now() + 3_600_000).toISOString(),
    })
    expect(await refusal(requestUndo(system, running))).toMatchObject({ code: 'illegal_transition' })
    await cancelJob(system.database.db, system.admin, running)
    expect((await refusal(requestUndo(system, running))).detail).toContain('CANCELLED')
    const dry = await bring(production(['2024-07-01'], 3, 2), { dryRun: 'true' })
    expect((await refusal(requestUndo(system, dry.id))).detail).toContain('dry run')
    const { id } = await bring(production(['2024-07-01'], 3, 3))
    const job = await undone(system, id)
    expect(await refusal(requestUndo(system, id))).toMatchObject({ code: 'already_undone', jobId: job.id })
    expect((await refusal(requestUndo(system, job.id))).detail).toContain('import the file')
  })

  test('while another one is open, and after `undoDays`', async () => {
    const { id } = await bring(production(['2024-08-01'], 3, 1))
    await system.database.pool.query(
      `insert into jobs (id, type, parent_id, dataset_id, user_id, tenant, start_at)
       select gen_random_uuid(), 'undo', id, dataset_id, user_id, tenant, now() + interval '1 day' from jobs where id = $1`,
      [id],
    )
    expect(await refusal(requestUndo(system, id))).toMatchObject({ code: 'undo_open' })
    await query(`delete from jobs where parent_id = $1`, [id])
    await query(`update jobs set loaded_at = now() - interval '91 days' where id = $1`, [id])
    expect(await refusal(requestUndo(system, id))).toMatchObject({ code: 'undo_expired' })
  })

  test('without the rows that the import replaced', async () => {
    await bring(production(['2024-08-10'], 3, 1))
    const { id } = await bring(production(['2024-08-10'], 3, 2))
    await query(`update artifacts set removed_at = now() where job_id = $1 and name like 'before-image%'`, [
      id,
    ])
    expect(await refusal(requestUndo(system, id))).toMatchObject({ code: 'undo_expired' })
  })

  test('to users other than the uploader and admins, and for rows of companies without access', async () => {
    const [one, other] = [await system.addUser('operator'), await system.addUser('operator')]
    const id = await system.accept(production(['2024-09-01'], 3, 1), { dataset: 'production' }, one)
    expect(await system.finished(id, 60_000)).toMatchObject({ status: 'COMPLETED' })
    expect(await refusal(requestUndo(system, id, { as: other }))).toMatchObject({ code: 'not_found' })
    expect(await refusal(requestUndo(system, id, { as: { ...one, companies: ['North'] } }))).toMatchObject({
      code: 'forbidden',
    })
    const later = await bring(production(['2024-09-01'], 3, 2))
    expect(await refusal(requestUndo(system, id, { as: one, unwind: true }))).toMatchObject({
      code: 'forbidden',
      jobs: [later.id],
    })
    expect(await undone(system, later.id)).toMatchObject({ status: 'COMPLETED' })
    expect(await undone(system, id, { as: one })).toMatchObject({ status: 'COMPLETED' })
  })
})

test('an undo in progress can be cancelled until it commits', async () => {
  const { id } = await bring(production(['2024-11-01'], 3, 1))
  const before = await state()
  const client = await system.database.pool.connect()
  try {
    await client.query('begin')
    await client.query(`select 1 from fact_production where fecha_contabilizacion = '2024-11-01' for update`)
    const undo = await requestUndo(system, id)
    const ended = system.finished(undo)
    const blocked = `select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like 'delete from%'
      and datname = current_database()`
    await until(async () => (await query(blocked)).length > 0, {
      within: 30_000,
      what: 'the undo is at work',
    })
    await cancelJob(system.database.db, system.admin, undo)
    expect(await ended).toMatchObject({ status: 'CANCELLED' })
  } finally {
    await client.query('rollback')
    client.release()
  }
  expect(await state()).toBe(before)
  expect(await read(id)).toMatchObject({ batchDeleted: false })
  expect(await undone(system, id)).toMatchObject({ status: 'COMPLETED' })
})

test('an undo waits for the window, and can be cancelled while it does', async () => {
  const { id } = await bring(production(['2024-10-01'], 3, 1))
  const before = await state()
  const holder = await system.accept(production(['2024-10-01'], 3, 2), {
    dataset: 'production',
    from: '2024-10-01',
    to: '2024-10-02',
    startAt: new Date(Date.now() + 3_600_000).toISOString(),
  })
  const undo = await requestUndo(system, id)
  await system.work()
  expect(await read(undo)).toMatchObject({ waitingFor: 'window' })
  await cancelJob(system.database.db, system.admin, undo)
  expect(await read(undo)).toMatchObject({ status: 'CANCELLED' })
  expect(await state()).toBe(before)
  await cancelJob(system.database.db, system.admin, holder)
  expect(await undone(system, id)).toMatchObject({ status: 'COMPLETED' })
})

test('a process that has undone imports holds none of their files open', async () => {
  for (const quantity of [1, 2]) await bring(production(['2024-12-01'], 2000, quantity))
  const [last] = (await listJobs(system.database.db, system.admin, { limit: 1 })).items
  expect(await undone(system, last?.id ?? '')).toMatchObject({ status: 'COMPLETED' })
  expect(await openFiles(system.dataDir, process.pid)).toEqual([])
})
