import type {
  Column,
  DatasetDefinition,
  DecimalColumn,
  IntegerColumn,
} from '@aduana/contracts/dataset-definition'
import type { CatalogueTable } from './catalogue.ts'
import type { Coverage } from './coverage.ts'
import { fileColumns } from './header.ts'
import { lit, quoteIdentifier } from './literals.ts'
import { rowHash } from './load-file.ts'
import { dayOf } from './rules/record.ts'
import { valueType } from './rules/value-type.ts'
import { ZONE_TABLE, zoneTable } from './rules/zone-sql.ts'
import type { NamedStatement } from './statement.ts'
import { keyColumns, summedColumns } from './stored-rows.ts'
import { exactSum, sumOfColumn } from './sums.ts'
import { targetColumns } from './target.ts'
import type { Zones } from './zones.ts'

/** A column that is compared: part of the content of a row, not its id, its lineage or a managed column. */
interface Compared {
  column: Column
  /** DuckDB's type for the type in the table. Old and new values are compared in it. */
  type: string
  /** Name inside the comparison. */
  as: string
}

/**
 * Returns the columns by which old and new rows are matched; undefined if rows can only be matched by all of their values.
 * Only an upsert guarantees that a key is unique in a file. For other load modes the key must include the day and scope.
 */
export function matchedBy(definition: DatasetDefinition): string[] | undefined {
  const { key, unique, loadMode, windowColumn, replaceScope } = definition
  if (loadMode === 'upsert' || !key) return key ?? unique?.columns
  if (unique) return unique.columns
  const place = [windowColumn, replaceScope].filter((name) => name !== undefined)
  return place.every((name) => key.includes(name)) ? key : undefined
}

/** The files of old and new rows. `catalogue` describes the target. */
export interface ComparisonInput {
  clean: string
  /** The output of `copyStored` or `copyStoredByKey`. */
  stored: string
  catalogue: readonly CatalogueTable[]
  /** The rules of the time zones of the definition. */
  zones: Zones
}

/** Number of rows that are compared at once. It bounds the use of memory for any number of rows. */
const ROWS_OF_PART = 250_000

/**
 * Returns the DuckDB statements that compare the replaced rows with the new ones. `counted` returns `{rows}`, the number
 * of old rows that were read; `days` a `DayComparison` for each day and scope; `sums` `{plus}`, texts in the order of
 * `summedColumns`.
 *
 * Equal rows are matched first, each old row with one new row. Of the rest, an old and a new row with the same key count as
 * one changed row.
 *
 * Only hashes and the place of each row are kept, in the file `digests`. Rows that can match have the same key, or without
 * a key the same values, so they fall into the same part. Parts are compared one after another; their number depends on
 * `rows`, the number of rows on both sides together.
 */
export function compareReplaced(
  definition: DatasetDefinition,
  input: ComparisonInput & { digests: string; rows: number },
): NamedStatement[] {
  const columns = comparedColumns(definition, input.catalogue)
  const names = columns.map(({ as }) => as).join(', ')
  const keys = columns.filter(({ column }) => matchedBy(definition)?.includes(column.name))
  const [scope, day] = [scopeOf(definition, columns, ''), dayAs(definition, columns, '')]
  const parts = Math.max(1, Math.ceil(input.rows / ROWS_OF_PART))
  const key = keys.length === 0 ? 'whole' : digestOf(keys)
  const digests = (rows: string, n: number, o: number) =>
    `select scope, day, whole, key, (hash(key) % ${parts})::integer as part, ${n}::tinyint as n, ${o}::tinyint as o from (select ${scope} as scope, ${day} as day, ${digestOf(columns)} as whole, ${key} as key from ${rows})`
  const fresh = `(${freshRows(definition, columns, input)})`
  const zoned = hasZone(definition) ? [DAY] : []
  const stored = `(select ${[names, ...zoned].join(', ')} from ${storedRows(columns, input.stored, zoned)})`
  return [
    ...zoneTables(definition, input.zones),
    run(
      'digests',
      `copy (${digests(fresh, 1, 0)} union all ${digests(stored, 0, 1)}) to ${lit(input.digests)} (format parquet, compression snappy)`,
    ),
    run(
      'changes',
      'create temp table changes (scope varchar, day date, inserted bigint, changed bigint, unchanged bigint, removed bigint, delta bigint, old bigint)',
    ),
    ...Array.from({ length: parts }, (_, part) => comparePart(input.digests, part, keys.length > 0)).flat(),
    ask('counted', 'select coalesce(sum(old), 0)::varchar as rows from changes'),
    ask(
      'days',
      'select scope, day::varchar as day, sum(inserted)::varchar as inserted, sum(changed)::varchar as changed, sum(unchanged)::varchar as unchanged, sum(removed)::varchar as removed, sum(delta)::varchar as delta from changes group by 1, 2',
    ),
    sumsOfClean(definition, input.clean),
  ]
}

function comparePart(digests: string, part: number, keyed: boolean): NamedStatement[] {
  return [
    run(
      `compared ${part}`,
      `create or replace temp table compared as select scope, day, key, whole, sum(n)::bigint as n, sum(o)::bigint as o from read_parquet(${lit(digests)}) where part = ${part} group by all`,
    ),
    run(`pairs ${part}`, pairsTable(keyed)),
    run(
      `changes ${part}`,
      `insert into changes select scope, day, sum(inserted), sum(changed), sum(unchanged), sum(removed), sum(delta), sum(old) from (
        select scope, day, greatest(n - o, 0) as inserted, 0 as changed, least(n, o) as unchanged, greatest(o - n, 0) as removed, n - o as delta, o as old from compared
        union all select scope, day, -rows, rows, 0, 0, 0, 0 from pairs
        union all select former.scope, former.day, 0, 0, 0, -rows, 0, 0 from pairs) group by 1, 2`,
    ),
  ]
}

/** Returns the DuckDB statement `sums` for a clean file. Its row `{plus}` has the sums as texts in the order of `summedColumns`. */
export function sumsOfClean(definition: DatasetDefinition, clean: string): NamedStatement {
  const sums = summedColumns(definition).map((column) =>
    sumOfColumn(`p.${quoteIdentifier(column.name)}`, column),
  )
  return ask('sums', `select ${listOf(sums)} as plus from read_parquet(${lit(clean)}) p`)
}

/** `count` ensures one row even without sums. */
function listOf(sums: readonly string[]): string {
  return sums.length === 0 ? 'if(count(*) >= 0, []::varchar[], null)' : `[${sums.join(', ')}]::varchar[]`
}

/**
 * Returns SQL that counts the pairs of an old and a new row with the same key but other values. A key has several pairs
 * only if it includes the day, so all of them lie on the same day.
 */
function pairsTable(keyed: boolean): string {
  const group = keyed ? 'group by key having bool_or(n > o) and bool_or(o > n)' : 'group by all having false'
  return `create or replace temp table pairs as select any_value(scope) filter (n > o) as scope, any_value(day) filter (n > o) as day, min(struct_pack(day := day, scope := scope)) filter (o > n) as former, least(sum(greatest(n - o, 0)), sum(greatest(o - n, 0)))::bigint as rows from compared where n <> o ${group}`
}

/**
 * Returns SQL of a 128-bit hash of the values of columns. Each text is hashed with its length, because a stored text may
 * contain any character and no separator is safe.
 */
function digestOf(columns: readonly Compared[]): string {
  const texts = columns.map(({ as, type }) =>
    type === 'VARCHAR' ? `coalesce(strlen(${as}) || ':' || ${as}, '')` : `coalesce(${as}::varchar, '')`,
  )
  return `md5_number(concat_ws(chr(31), ${texts.join(', ')}))`
}

/**
 * Returns the DuckDB statements that compare the rows of an upsert with the stored rows of the same keys, by the rule of
 * the upsert itself: the hash of the values, and the version. `counted` and `days` are as for `compareReplaced`; `sums`
 * returns `{plus, minus}`; `same-version` `{rows, example}`, the rows that change although both have the same version;
 * `foreign` `{rows, example}`, the rows that the uploader may not change.
 */
export function compareUpserted(
  definition: DatasetDefinition,
  input: ComparisonInput & Coverage,
): NamedStatement[] {
  const columns = comparedColumns(definition, input.catalogue)
  const version = definition.versionColumn && asOf(columns, definition.versionColumn)
  const key = keyColumns(definition).map(({ name }) => asOf(columns, name))
  const newer = version ? ` and coalesce(o.${version} is null or o.${version} <= n.${version}, false)` : ''
  const same = key.map((name) => `o.${name} = n.${name}`)
  const undecided = version ? `o.${version} is not distinct from n.${version}` : 'false'
  const place = (of: string, prefix: string) =>
    `${scopeOf(definition, columns, of)} as ${prefix}scope, ${dayAs(definition, columns, of)} as ${prefix}day`
  const measured = new Set(summedColumns(definition))
  const summed = columns.filter(({ column }) => measured.has(column))
  const values = summed.map(({ as }) => `, n.${as} as new_${as}, o.${as} as old_${as}`)
  const total = (side: string, states: string) =>
    listOf(summed.map(({ as, type }) => exactSum(`${side}_${as}`, type, `state in (${states})`)))
  const zoned = hasZone(definition) ? [DAY] : []
  return [
    ...zoneTables(definition, input.zones),
    run(
      'stored',
      `create temp table stored as select *, true as there from ${storedRows(columns, input.stored, ['row_hash', ...zoned])}`,
    ),
    run(
      'fresh',
      `create temp view fresh as ${freshRows(definition, columns, input, [`${rowHash(targetColumns(definition))} as row_hash`])}`,
    ),
    run(
      'matched',
      `create temp table matched as select case when o.there is null then 'inserted' when o.row_hash is distinct from n.row_hash${newer} then 'changed' else 'unchanged' end as state, ${place('n.', '')}, ${place('o.', 'old_')}, ${undecided} as undecided, ${key.map((name) => `n.${name}::varchar`).join(` || ' / ' || `)} as shown${values.join('')} from fresh n left join stored o on ${same.join(' and ')}`,
    ),
    ask('counted', 'select count(*)::varchar as rows from stored'),
    ask('days', upsertedDays()),
    ask(
      'sums',
      `select ${total('new', `'inserted', 'changed'`)} as plus, ${total('old', `'changed'`)} as minus from matched`,
    ),
    ask(
      'same-version',
      `select count(*)::varchar as rows, min(shown) as example from matched where state = 'changed' and undecided`,
    ),
    ask('foreign', foreignRows(definition, columns, input)),
  ]
}

/** An unchanged row counts for its present day and scope, a changed row for its new ones. */
function upsertedDays(): string {
  return `select scope, day::varchar as day, sum(inserted)::varchar as inserted, sum(changed)::varchar as changed, sum(unchanged)::varchar as unchanged, '0' as removed, sum(delta)::varchar as delta from (
    select scope, day, (state = 'inserted')::int as inserted, (state = 'changed')::int as changed, 0 as unchanged, 1 as delta from matched where state <> 'unchanged'
    union all select old_scope, old_day, 0, 0, (state = 'unchanged')::int, case when state = 'changed' then -1 else 0 end from matched where state <> 'inserted') group by 1, 2`
}

function foreignRows(definition: DatasetDefinition, columns: readonly Compared[], allowed: Coverage): string {
  const outside = (name: string | undefined, list: readonly string[] | null) =>
    name === undefined || list === null
      ? []
      : [`not list_contains([${list.map(lit).join(', ')}]::varchar[], ${asOf(columns, name)}::varchar)`]
  const { scope } = definition
  const conditions = [
    ...outside(scope?.company, allowed.companies),
    ...outside(scope?.warehouse, allowed.warehouses),
  ]
  const shown = keyColumns(definition).map(({ name }) => `${asOf(columns, name)}::varchar`)
  return `select count(*)::varchar as rows, min(${shown.join(` || ' / ' || `)}) as example from stored where ${conditions.join(' or ') || 'false'}`
}

const run = (name: string, sql: string): NamedStatement => ({ name, sql, as: 'none' })
const ask = (name: string, sql: string): NamedStatement => ({ name, sql, as: 'rows' })

function comparedColumns(
  definition: DatasetDefinition,
  catalogue: readonly CatalogueTable[],
): readonly Compared[] {
  const { schema, name } = definition.table
  const table = catalogue.find((entry) => entry.schema === schema && entry.name === name)
  return fileColumns(definition).map((column, index) => ({
    column,
    as: `c${index}`,
    type: storedType(column, table?.columns.find((entry) => entry.name === column.name)?.type),
  }))
}

/** Returns the type of the table, in which 1.50 and 1.500 are the same number. */
function storedType(column: Column, type: string | undefined): string {
  if (!isNumber(column)) return valueType(column)
  if (type !== undefined && /^(small|big)?int(eger)?$/.test(type)) return 'BIGINT'
  const [, precision, scale] = /^numeric\((\d+),(\d+)\)$/.exec(type ?? '') ?? []
  if (Number(precision) <= 38) return `DECIMAL(${precision},${scale})`
  // Wide enough for all digits before the mark. Values written by other programs may have more digits after it.
  const [whole, fraction] =
    column.type === 'decimal' ? [column.precision - column.scale, column.scale] : [DIGITS_OF_BIGINT, 0]
  return `DECIMAL(38,${Math.min(38 - whole, Math.max(10, fraction))})`
}

const DIGITS_OF_BIGINT = 19

function isNumber(column: Column): column is IntegerColumn | DecimalColumn {
  return column.type === 'integer' || column.type === 'decimal'
}

/** The column with the day of a row whose window column is an instant. PostgreSQL computes it for stored rows. */
const DAY = '_day'

function hasZone(definition: DatasetDefinition): boolean {
  return windowOf(definition)?.type === 'timestamp'
}

function windowOf({ columns, windowColumn }: DatasetDefinition): Column | undefined {
  return columns.find(({ name }) => name === windowColumn)
}

function zoneTables(definition: DatasetDefinition, zones: Zones): NamedStatement[] {
  return hasZone(definition) ? [zoneTable(zones)] : []
}

function freshRows(
  definition: DatasetDefinition,
  columns: readonly Compared[],
  { clean, zones }: ComparisonInput,
  more: readonly string[] = [],
): string {
  const values = columns.map(({ column, type, as }) => `p.${quoteIdentifier(column.name)}::${type} as ${as}`)
  const window = windowOf(definition)
  const rows = `read_parquet(${lit(clean)}) p`
  if (window?.type !== 'timestamp') return `select ${[...values, ...more].join(', ')} from ${rows}`
  const day = dayOf({ column: window, value: `p.${quoteIdentifier(window.name)}` }, zones)
  return `select ${[...values, ...more, `${day} as ${DAY}`].join(', ')} from ${rows}, ${ZONE_TABLE}`
}

/** The first value of each line, so that no line is empty: DuckDB would skip a line with a single NULL. */
const ROW = '_row'

/** Returns SQL that reads a file written by PostgreSQL's COPY, in its known dialect. The caller checks the number of rows. */
function storedRows(columns: readonly Compared[], path: string, more: readonly string[] = []): string {
  const types = [
    `${lit(ROW)}: 'TINYINT'`,
    ...columns.map(({ as, type }) => `${as}: ${lit(type)}`),
    ...more.map((name) => `${name}: 'VARCHAR'`),
  ]
  return `read_csv(${lit(path)}, auto_detect = false, header = false, delim = ',', quote = '"', escape = '"', nullstr = '', allow_quoted_nulls = false, new_line = '\\n', max_line_size = 16777216, buffer_size = 16777216, columns = {${types.join(', ')}})`
}

function asOf(columns: readonly Compared[], name: string): string {
  const found = columns.find(({ column }) => column.name === name)
  if (!found) throw new Error(`"${name}" is not compared`)
  return found.as
}

function scopeOf(definition: DatasetDefinition, columns: readonly Compared[], of: string): string {
  return definition.replaceScope === undefined
    ? `''`
    : `${of}${asOf(columns, definition.replaceScope)}::varchar`
}

function dayAs(definition: DatasetDefinition, columns: readonly Compared[], of: string): string {
  const window = windowOf(definition)
  if (!window) return 'null::date'
  return window.type === 'timestamp' ? `${of}${DAY}::date` : `${of}${asOf(columns, window.name)}`
}
