import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Graph, openGraph } from './testing/graph.ts'

let graph: Graph
beforeAll(async () => {
  graph = await openGraph()
})
afterAll(() => graph.close())

const RESTRICTED = '23001'

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
  audit_log_no_truncate: { refuses: ['truncate audit_log'], lets: [] },
  event_log_no_truncate: { refuses: ['truncate event_log'], lets: [] },
  dim_maquina_no_truncate: { refuses: ['truncate dim_maquina'], lets: [] },
  dim_maquinista_no_truncate: { refuses: ['truncate dim_maquinista'], lets: [] },
}

test('every trigger in the database is proved here', async () => {
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

  test.each(lets)('lets "%s" pass', async (sql) => {
    const changed = await graph.undone(() => graph.client.query(sql))
    expect(changed.rowCount).toBe(1)
  })
})
