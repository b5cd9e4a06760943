import { type Principal, RUNS_USER_ID } from '@aduana/contracts/identity'
import { createLogger } from '@aduana/runtime/logger'
import { createTestDatabase, type TestDatabase } from '@aduana/testkit/database'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createDatabase, inTransaction, readAs } from './database.ts'
import { createPool } from './pool.ts'
import { errorCode } from './sql-errors.ts'
import { AT, id, type Row, SAMPLES } from './testing/sample-rows.ts'
import { TARGETS } from './testing/sample-targets.ts'

const TRICKY = ['Comma, Inc', 'Brace {x}', 'Quote "q"', "Apo'strophe", 'Back\\slash', 'NULL', '*', '{}', ' ']

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database.drop())

function person(n: number, scope: Partial<Principal> = {}): Principal {
  return {
    userId: id('user', n),
    email: `user${n}@example.com`,
    role: 'operator',
    tenant: 'default',
    companies: null,
    warehouses: null,
    ...scope,
  }
}

async function write(table: string, change: Row, n: number): Promise<void> {
  const sample = [...SAMPLES, ...TARGETS].find((each) => each.table === table)
  if (!sample) throw new Error(`no sample of ${table}`)
  const row = { ...sample.row(n), ...change }
  const json = new Set(['parameters', 'result', 'error', 'output', 'reasons'])
  const names = Object.keys(row)
  await database.pool.query(
    `insert into ${table} (${names.map((name) => `"${name}"`).join(', ')})
     values (${names.map((_, index) => `$${index + 1}`).join(', ')})`,
    names.map((name) => (json.has(name) && row[name] !== null ? JSON.stringify(row[name]) : row[name])),
  )
}

/** The names of jobs, or other ids, that somebody sees in a table. */
const seen = (who: Principal, table: string, column: string) =>
  readAs(database.db, who, async (tx) => {
    const rows = await sql<{ it: string }>`select ${sql.ref(column)}::text as it from ${sql.table(table)}
      order by 1`.execute(tx)
    return rows.rows.map((row) => row.it)
  })

beforeAll(async () => {
  const dataset = await database.pool.query<{ id: string }>(
    `select id from datasets where code = 'production'`,
  )
  const dataset_id = dataset.rows[0]?.id
  const plain = { parent_id: null, dataset_id, approval_asked_at: null }
  for (const n of [1, 2]) await write('users', { companies: null, warehouses: null, disabled_at: null }, n)
  // Job 1: user 1, everything. Job 2: user 2, everything. Job 3: user 1, with the scope ACME and the warehouse north.
  await write('jobs', { ...plain, companies: null, warehouses: null }, 1)
  await write('jobs', { ...plain, user_id: id('user', 2), companies: null, warehouses: null }, 2)
  await write('jobs', { ...plain, companies: ['ACME'], warehouses: ['north'] }, 3)
  for (const n of [1, 2, 3]) {
    await write('imports', { dataset_id }, n)
    await write('stage_results', { job_id: id('job', n) }, n)
    await write('artifacts', { job_id: id('job', n), key: `key ${n}` }, n)
    await write('quarantined_records', { job_id: id('job', n), dataset_id }, n)
  }
  const orders = [
    ['ACME', 'north'],
    ['ACME', 'south'],
    ['Other', 'north'],
    ...TRICKY.map((name) => [name, name]),
  ]
  for (const [index, [company, warehouse]] of orders.entries())
    await write('order_detail', { company, warehouse, order_id: `${company}/${warehouse}` }, index + 1)
  await database.pool.query(
    `create table fact_production_2024_01 partition of fact_production for values from ('2024-01-01') to ('2024-02-01')`,
  )
  await write('fact_production', {}, 1)
})

describe('jobs', () => {
  test.each([
    ['jobs', 'id'],
    ['imports', 'job_id'],
    ['stage_results', 'job_id'],
    ['artifacts', 'job_id'],
    ['quarantined_records', 'job_id'],
  ])('of %s a user sees what belongs to the own jobs, and an admin everything', async (table, column) => {
    expect(await seen(person(1), table, column)).toEqual([id('job', 1), id('job', 3)])
    expect(await seen(person(2), table, column)).toEqual([id('job', 2)])
    expect(await seen(person(3), table, column)).toEqual([])
    expect(await seen(person(3, { role: 'admin' }), table, column)).toEqual(
      [1, 2, 3].map((n) => id('job', n)),
    )
    // A steward mends data, but is no admin.
    expect(await seen(person(3, { role: 'steward' }), table, column)).toEqual([])
  })

  test.each(['artifacts', 'quarantined_records'])(
    'of %s a user sees only what is entirely within the scope',
    async (table) => {
      const of = (companies: string[] | null, warehouses: string[] | null) =>
        seen(person(1, { companies, warehouses }), table, 'job_id')
      expect(await of(['ACME', 'Other'], ['north'])).toEqual([id('job', 3)])
      expect(await of(['ACME'], null)).toEqual([id('job', 3)])
      expect(await of(['ACME'], ['south'])).toEqual([])
      expect(await of(['Other'], null)).toEqual([])
      expect(await of([], [])).toEqual([])
      expect(await of(null, null)).toEqual([id('job', 1), id('job', 3)])
    },
  )

  test('a steward also sees those that wait for approval within the own scope', async () => {
    const asked = (at: Date | null) =>
      database.pool.query('update jobs set approval_asked_at = $1 where id = any ($2)', [
        at,
        [id('job', 2), id('job', 3)],
      ])
    const steward = (scope: Partial<Principal> = {}) =>
      seen(person(3, { role: 'steward', ...scope }), 'jobs', 'id')
    await asked(AT)
    expect(await steward()).toEqual([id('job', 2), id('job', 3)])
    expect(await steward({ companies: ['ACME', 'Other'], warehouses: ['north'] })).toEqual([id('job', 3)])
    expect(await steward({ companies: ['ACME'], warehouses: ['south'] })).toEqual([])
    expect(await seen(person(3), 'jobs', 'id')).toEqual([])
    await asked(null)
    expect(await steward()).toEqual([])
  })

  test('a user sees only the own user, an admin all', async () => {
    expect(await seen(person(1), 'users', 'id')).toEqual([id('user', 1)])
    const all = await seen(person(1, { role: 'admin' }), 'users', 'id')
    expect(all).toEqual([id('user', 1), id('user', 2), RUNS_USER_ID])
  })
})

describe('orders', () => {
  const of = (
    companies: string[] | null,
    warehouses: string[] | null,
    role: Principal['role'] = 'operator',
  ) => seen(person(1, { companies, warehouses, role }), 'order_detail', 'order_id')

  test('are visible by company and warehouse', async () => {
    expect(await of(['ACME'], null)).toEqual(['ACME/north', 'ACME/south'])
    expect(await of(['ACME'], ['north'])).toEqual(['ACME/north'])
    expect(await of(null, ['north'])).toEqual(['ACME/north', 'Other/north'])
    expect(await of(null, null)).toHaveLength(3 + TRICKY.length)
    expect(await of([], null)).toEqual([])
    expect(await of(null, [])).toEqual([])
    expect(await of(['acme'], null)).toEqual([])
  })

  test('of other companies are hidden from an admin with a scope, too', async () => {
    expect(await of(['ACME'], ['south'], 'admin')).toEqual(['ACME/south'])
  })

  test.each(TRICKY)(
    'of a company and a warehouse named <%s> are visible to a user with that scope',
    async (name) => {
      expect(await of([name], [name])).toEqual([`${name}/${name}`])
      expect(await of([name, 'ACME'], null)).toHaveLength(3)
    },
  )
})

describe('the reader', () => {
  const attempt = (statement: string) =>
    readAs(database.db, person(1, { role: 'admin' }), (tx) => sql.raw(statement).execute(tx)).then(
      () => undefined,
      errorCode,
    )

  test.each([
    ['insert', `insert into datasets (code, current_version) values ('x', 1)`],
    ['update', `update jobs set message = 'x'`],
    ['delete', 'delete from quarantined_records'],
    ['create', 'create table mine (n integer)'],
    ['lock', 'select 1 from jobs for update'],
  ])('cannot %s', async (_, statement) => {
    expect(await attempt(statement)).toMatch(/^(25006|42501)$/)
  })

  test.each([
    ['insert', `insert into datasets (code, current_version) values ('x', 1)`],
    ['update', `update jobs set message = 'x'`],
    ['delete', 'delete from quarantined_records'],
    ['create', 'create table mine (n integer)'],
    ['truncate', 'truncate event_log'],
  ])('has no right to %s in a transaction that can write', async (_, statement) => {
    const error = await inTransaction(database.db, async (tx) => {
      await sql`set local role aduana_reader`.execute(tx)
      await sql.raw(statement).execute(tx)
    }).catch(errorCode)
    expect(error).toBe('42501')
  })

  test('reads facts through their parent, never a partition', async () => {
    expect(await attempt('select * from fact_production')).toBeUndefined()
    expect(await attempt('select * from fact_production_2024_01')).toBe('42501')
  })

  test.each([
    'ws_tickets',
    'ended_sessions',
    'login_failures',
    'login_networks',
    'window_leases',
    'event_log',
    'audit_log',
    'artifact_stores',
    'schema_migrations',
  ])('cannot read %s', async (table) => {
    expect(await attempt(`select * from ${table}`)).toBe('42501')
  })

  test('sees no job and no order without a user', async () => {
    const found = await inTransaction(database.db, async (tx) => {
      await sql`set local role aduana_reader`.execute(tx)
      const rows = await sql<{ n: string }>`select (select count(*) from jobs)
        + (select count(*) from users) + (select count(*) from order_detail)
        + (select count(*) from artifacts) as n`.execute(tx)
      return rows.rows[0]?.n
    })
    expect(found).toBe('0')
  })
})

describe('a connection after a read', () => {
  const one = async <T>(work: (db: ReturnType<typeof createDatabase>) => Promise<T>): Promise<T> => {
    const logger = createLogger({ name: 'test', level: 'silent', pretty: false })
    const pool = createPool({ url: database.url, max: 1, applicationName: 'test', logger })
    try {
      return await work(createDatabase(pool))
    } finally {
      await pool.end()
    }
  }
  const state = (db: ReturnType<typeof createDatabase>) =>
    sql<Row>`select current_user = session_user as owner,
      coalesce(current_setting('aduana.user_id', true), '') || coalesce(current_setting('aduana.role', true), '')
        || coalesce(current_setting('aduana.companies', true), '') || coalesce(current_setting('aduana.warehouses', true), '')
        as settings, current_setting('transaction_read_only') as read_only`
      .execute(db)
      .then((result) => result.rows[0])

  test('has no user afterwards', async () => {
    await one(async (db) => {
      await readAs(db, person(1, { role: 'admin', companies: ['ACME'] }), async () => undefined)
      expect(await state(db)).toEqual({ owner: true, settings: '', read_only: 'off' })
    })
  })

  test('has no user after a failed read', async () => {
    await one(async (db) => {
      const failing = readAs(db, person(1, { role: 'admin' }), (tx) => sql`select 1 / 0`.execute(tx))
      await expect(failing).rejects.toThrow('division by zero')
      expect(await state(db)).toEqual({ owner: true, settings: '', read_only: 'off' })
    })
  })

  test('shows the next user no data of the one before', async () => {
    await one(async (db) => {
      const jobs = (who: Principal) =>
        readAs(db, who, (tx) => tx.selectFrom('jobs').select('id').orderBy('id').execute())
      expect(await jobs(person(9, { role: 'admin' }))).toHaveLength(3)
      expect(await jobs(person(2))).toEqual([{ id: id('job', 2) }])
      expect(await jobs(person(9))).toEqual([])
    })
  })
})

describe('a transaction', () => {
  test('commits when its work is done and rolls back when it throws', async () => {
    const add = (name: string, fail: boolean) =>
      inTransaction(database.db, async (tx) => {
        await tx
          .insertInto('artifact_stores')
          .values({ name, marker: id('batch', 1) })
          .execute()
        if (fail) throw new Error('changed my mind')
      })
    await add('kept', false)
    await expect(add('dropped', true)).rejects.toThrow('changed my mind')
    const names = await database.db.selectFrom('artifact_stores').select('name').execute()
    expect(names).toEqual([{ name: 'kept' }])
  })

  test('keeps days, bigints and decimals exact, and times in UTC', async () => {
    const read = await sql<Row>`select '0099-02-28'::date as day, 9007199254740993::bigint as big,
      12345678901234567890.123456789::numeric as decimal, ${AT}::timestamptz::text as at`.execute(database.db)
    expect(read.rows[0]).toEqual({
      day: '0099-02-28',
      big: '9007199254740993',
      decimal: '12345678901234567890.123456789',
      at: '2024-03-05 10:11:12.345+00',
    })
  })
})
