import { SeriesDefinition } from '@aduana/contracts/metrics/definition'
import { registerDatasets } from '@aduana/datasets/registry'
import { SHIPPED } from '@aduana/datasets/shipped'
import { createDatabase } from '@aduana/db/database'
import { migrate, readMigrations } from '@aduana/db/migrations'
import { createPool } from '@aduana/db/pool'
import { createLogger } from '@aduana/runtime/logger'
import { createEmptyDatabase } from '@aduana/testkit/database'
import type pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { SHIPPED_SERIES } from '../shipped/series.ts'
import { registerShippedMetrics } from '../shipped/shipped.ts'
import { listSeries } from './series.ts'
import { shaOf } from './write.ts'

const logger = createLogger({ name: 'test', level: 'silent', pretty: false })
let database: Awaited<ReturnType<typeof createEmptyDatabase>>
let pool: pg.Pool
beforeAll(async () => {
  database = await createEmptyDatabase()
  pool = createPool({ url: database.url, max: 4, applicationName: 'test', logger })
})
afterAll(async () => {
  await pool.end()
  await database.drop()
})

/** A title with whatever JSON writes in a way of its own. */
const ODD = 'quote " backslash \\ slash / tab \t line\nbell \u0007 delete \u007f é 漢 😀 \u2028'

test('existing series become their first version, in the form that the program writes', async () => {
  const db = createDatabase(pool)
  const migrations = await readMigrations()
  await migrate(database.url, migrations.slice(0, 4), logger)
  await registerDatasets(db, SHIPPED)
  const own = SeriesDefinition.parse({
    ...{
      code: 'orders.odd',
      title: { en: ODD, es: 'x' },
      dataset: 'orders',
      column: 'items_count',
      unit: '"%"',
    },
  })
  for (const { code, title, unit, dataset, column } of [...SHIPPED_SERIES, own])
    await pool.query(
      `with s as (insert into series (code, title, unit) values ($1, $2, $3) returning id)
       insert into dataset_series (series_id, dataset_id, column_name) select s.id, d.id, $5 from s, datasets d where d.code = $4`,
      [code, JSON.stringify(title), unit ?? null, dataset, column],
    )
  const { rows: users } = await pool.query(
    `insert into users (email, password_hash, role) values ('a@b.c', 'x', 'admin') returning id`,
  )
  const admin: string = users[0].id
  await pool.query(
    `insert into audit_log (actor, action, subject_type, subject_id) values (null, 'series.save', 'series', 'orders.odd'),
       ($1, 'series.save', 'series', 'orders.odd'), ($1, 'series.save', 'series', 'orders.rows'), (null, 'series.save', 'series', 'orders.rows')`,
    [admin],
  )

  await migrate(database.url, migrations, logger)
  const written = await pool.query(
    `select v.* from series_versions v join series s on s.id = v.series_id and s.current_version = v.version`,
  )
  expect(written.rows).toHaveLength(SHIPPED_SERIES.length + 1)
  for (const row of written.rows) {
    const definition = SeriesDefinition.parse(row.definition)
    expect(row).toMatchObject({ version: 1, definition_sha256: shaOf(definition) })
    expect(row.created_by).toBe(definition.code === 'orders.odd' ? admin : null)
  }
  expect(written.rows.map((row) => row.definition)).toContainEqual(own)

  await registerShippedMetrics(db)
  expect((await listSeries(db)).map(({ version }) => version)).toEqual(written.rows.map(() => 1))
})
