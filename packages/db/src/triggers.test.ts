import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Graph, openGraph } from './testing/graph.ts'
import { id } from './testing/sample-rows.ts'

let graph: Graph
beforeAll(async () => {
  graph = await openGraph()
})
afterAll(() => graph.close())

const RESTRICTED = '23001'

/** Ends the one job of the base that has no windows. */
const END_SECOND = `update jobs set status = 'CANCELLED', waiting_for = null, completed_at = now()
  where not exists (select from window_locks l where l.job_id = jobs.id)`
const RELEASE = ['window_locks', 'window_waiters', 'window_leases'].map((table) => `delete from ${table}`)

/** For every trigger: statements that it refuses, and statements beside them that it lets pass. */
const TRIGGERS: Readonly<Record<string, { refuses: readonly string[]; lets: readonly string[] }>> = {
  audit_log_append_only: {
    refuses: [
      'delete from audit_log',
      `update audit_log set action = 'nothing'`,
      'update audit_log set at = at',
    ],
    lets: [`insert into audit_log (action, subject_type, subject_id) values ('a', 'b', 'c')`],
  },
  event_log_append_only: {
    refuses: [
      'delete from event_log',
      `update event_log set body = '{}'`,
      `update event_log set event_key = 'other', sent_at = now()`,
      'update event_log set job_id = null',
      'update event_log set outbound = not outbound',
    ],
    lets: [
      'update event_log set sent_at = now()',
      'update event_log set sent_at = null',
      `update event_log set send_attempts = 1, send_after = now(), send_error = 'refused'`,
    ],
  },
  dim_maquina_keep: {
    refuses: [
      'delete from dim_maquina',
      'update dim_maquina set id = default',
      `update dim_maquina set codigo = 'other'`,
    ],
    lets: [`update dim_maquina set nombre = 'renamed'`],
  },
  dim_maquinista_keep: {
    refuses: [
      'delete from dim_maquinista',
      'update dim_maquinista set id = default',
      `update dim_maquinista set codigo = 'other'`,
    ],
    lets: [`update dim_maquinista set nombre = 'renamed'`],
  },
  users_end_sessions: {
    refuses: [],
    lets: [`update users set password_hash = 'x' where id = '${id('user', 1)}'`],
  },
  users_notify: { refuses: [], lets: [`update users set role = 'viewer' where id = '${id('user', 1)}'`] },
  ended_sessions_notify: {
    refuses: [],
    lets: [`insert into ended_sessions values (gen_random_uuid(), '${id('user', 1)}', now())`],
  },
  audit_log_no_truncate: { refuses: ['truncate audit_log'], lets: [] },
  event_log_no_truncate: { refuses: ['truncate event_log'], lets: [] },
  dim_maquina_no_truncate: { refuses: ['truncate dim_maquina'], lets: [] },
  dim_maquinista_no_truncate: { refuses: ['truncate dim_maquinista'], lets: [] },
  // These note what tenants keep, see packages/jobs/src/retention/stored-bytes.test.ts.
  artifacts_note_inserted: {
    refuses: [],
    lets: [
      `insert into artifacts (job_id, name, key, media_type, bytes, sha256, attempt)
         select job_id, 'other', 'other', media_type, 1, sha256, 1 from artifacts limit 1`,
    ],
  },
  artifacts_note_updated: { refuses: [], lets: ['update artifacts set bytes = bytes + 1'] },
  quarantined_records_note_inserted: {
    refuses: [],
    lets: [
      `insert into quarantined_records (id, job_id, dataset_id, record, line, codes, columns, reasons, raw)
         select id + 9, job_id, dataset_id, record + 9, line, codes, columns, reasons, raw from quarantined_records limit 1`,
    ],
  },
  quarantined_records_note_deleted: { refuses: [], lets: ['delete from quarantined_records'] },
  window_locks_open_job: {
    refuses: [
      `${END_SECOND}; insert into window_locks (job_id, dataset_id, scope, days)
         select id, dataset_id, 'late', '[2024-01-01,2024-01-02)' from jobs where completed_at is not null`,
      `${END_SECOND}; update window_locks set job_id = (select id from jobs where completed_at is not null)`,
    ],
    lets: [
      `insert into window_locks (job_id, dataset_id, scope, days)
         select job_id, dataset_id, 'in time', '[2024-01-01,2024-01-02)' from window_locks`,
    ],
  },
  window_waiters_open_job: {
    refuses: [
      `${END_SECOND}; insert into window_waiters (job_id, dataset_id, scope, days)
         select id, dataset_id, 'late', '[2024-01-01,2024-01-02)' from jobs where completed_at is not null`,
    ],
    lets: [`update window_waiters set blocked_by = job_id`],
  },
  window_leases_open_job: {
    refuses: [
      `${END_SECOND}; insert into window_leases (job_id, fence, holder, expires_at)
         select id, 8, 'late', now() from jobs where completed_at is not null`,
    ],
    lets: [`update window_leases set holder = 'other'`],
  },
  jobs_released_windows: {
    refuses: ['window_locks', 'window_waiters', 'window_leases'].map(
      (kept) => `${RELEASE.filter((release) => !release.endsWith(kept)).join('; ')};
        update jobs set status = 'CANCELLED', waiting_for = null, completed_at = now()
          where id in (select job_id from ${kept});
        set constraints all immediate`,
    ),
    lets: [END_SECOND],
  },
}

test('every trigger in the database is tested here', async () => {
  const found = await graph.client.query<{ name: string }>(
    `select distinct tgname as name from pg_trigger g join pg_class t on t.oid = g.tgrelid
     where not g.tgisinternal and t.relnamespace = 'public'::regnamespace`,
  )
  expect(Object.keys(TRIGGERS).sort()).toEqual(found.rows.map((row) => row.name).sort())
})

describe.each(Object.entries(TRIGGERS))('%s', (_, { refuses, lets }) => {
  test.each(refuses)('refuses "%s"', async (sql) => {
    const error = await graph.refused(() => graph.client.query(sql))
    expect(error?.code).toBe(RESTRICTED)
  })

  test.each(lets)('accepts "%s"', async (sql) => {
    const changed = await graph.undone(() => graph.client.query(sql))
    expect(changed.rowCount).toBe(1)
  })
})

describe('the version of a user’s sessions', () => {
  const id1 = id('user', 1)
  const versionAfter = (change: string) =>
    graph.undone(async () => {
      await graph.client.query(`update users set disabled_at = null, session_version = 5 where id = '${id1}'`)
      await graph.client.query(`update users set ${change} where id = '${id1}'`)
      const { rows } = await graph.client.query('select session_version from users where id = $1', [id1])
      return rows[0]?.session_version
    })

  test.each([`password_hash = 'another'`, 'disabled_at = now()'])('increases with %s', async (change) => {
    expect(await versionAfter(change)).toBe(6)
  })

  test.each([`role = 'admin'`, 'password_hash = password_hash', 'disabled_at = null', `tenant = 'other'`])(
    'does not change with %s',
    async (change) => {
      expect(await versionAfter(change)).toBe(5)
    },
  )
})

describe('the retention removes an event', () => {
  const OLD = { age: '8 days', job_id: null, outbound: false, sent: false }
  const remove =
    (event: Partial<typeof OLD> | { job_id: string }, said = 'on') =>
    async () => {
      const { age, job_id, outbound, sent } = { ...OLD, ...event }
      await graph.client.query(
        `insert into event_log (event_key, type, job_id, body, occurred_at, outbound, sent_at)
       values ('removed', 'a', $1, '{}', now() - $2::interval, $3, case when $4 then now() end)`,
        [job_id, age, outbound, sent],
      )
      await graph.client.query(`select set_config('aduana.retention', $1, true)`, [said])
      return graph.client.query(`delete from event_log where event_key = 'removed'`)
    }

  test.each([
    ['that is a week old', {}],
    ['that has been sent', { outbound: true, sent: true }],
  ])('%s', async (_, event) => {
    expect((await graph.undone(remove(event))).rowCount).toBe(1)
  })

  test('of a job that has ended', async () => {
    const removed = await graph.undone(async () => {
      await graph.client.query(
        `update jobs set status = 'CANCELLED', waiting_for = null, completed_at = now() where id = $1`,
        [id('job', 1)],
      )
      return remove({ job_id: id('job', 1) })()
    })
    expect(removed.rowCount).toBe(1)
  })

  test.each([
    ['that is younger', { age: '6 days 23 hours' }, 'on'],
    ['that has not been sent', { outbound: true }, 'on'],
    ['of a job that has not ended', { job_id: id('job', 1) }, 'on'],
    ['without saying who it is', {}, ''],
  ])('not %s', async (_, event, said) => {
    expect((await graph.refused(remove(event, said)))?.code).toBe(RESTRICTED)
  })
})
