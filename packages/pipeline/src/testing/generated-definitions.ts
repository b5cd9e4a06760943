import { type DatasetDefinitionInput, maxLengthOf } from '@aduana/contracts/dataset-definition'
import { addDays } from '@aduana/contracts/dates'
import { createRandom, type Random } from '@aduana/testkit/random'
import {
  type ColumnInput,
  type GeneratedCell,
  generateCell,
  generateColumn,
  randomText,
} from './generated-cells.ts'

/** A definition, its table, and two files for it. */
export interface GeneratedCase {
  seed: number
  definition: DatasetDefinitionInput & { code: string }
  /** SQL that creates the tables. */
  ddl: string[]
  /** Two files; the second replaces, changes or follows the rows of the first. */
  files: [GeneratedRow[], GeneratedRow[]]
}

/** The cells of a record, by column of the definition. */
export type GeneratedRow = Map<string, GeneratedCell>

/** Names that could be mistaken for a keyword, an alias or other syntax. */
const NAMES =
  `select from where user table order group end all any array both case cast check collate column constraint current_user
  default desc distinct do else except false fetch for foreign grant having in initially into lateral leading limit
  localtime not null offset on only or placing primary references returning session_user some symmetric then to trailing
  true union unique using variadic when window with qualify pivot unpivot summarize describe lambda asof semi anti
  positional glob columns map struct at t s b k p g n o d x v f e i l c w u m m0 m1 m2 c0 c1 r0 r1 t0 t1 v0 v1 v2 k0 k1 g0 h0
  d_a d_b written excluded stage old new day scope rows company warehouse code key members wanted plus minus state there row_hash
  record import_no line job_id lote good yes reasons reason winner losers failed found compared stored fresh matched pairs
  sums days example combination among_0 count sum min max coalesce lower upper length hash strlen date timestamp time
  interval integer text boolean varchar uuid json oid value values name type index position lead lag row rec file
  created_by_job month_of_partition preview_keys analyze verbose natural left inner cross full freeze ilike is isnull
  similar overlaps authorization binary concurrently tablesample exists between nullif trim extract row_number`.split(
    /\s+/,
  )

const OF_UPSERTS = ['row_hash', 'record', 'import_no']

const longName = (seed: number) => `${'long_name_'.repeat(5)}`.slice(0, 55 - String(seed).length) + seed

/** Returns the case of a seed, with a maximum number of columns. */
export function generateCase(seed: number, widest = 990): GeneratedCase {
  const random = createRandom(seed)
  const loadMode = random.pick(['append', 'upsert', 'replace-window'] as const)
  const names = namesFor(random, widest).filter((name) => loadMode !== 'upsert' || !OF_UPSERTS.includes(name))
  const columns = names.map((name) => generateColumn(random, name))
  const role = <Role extends ColumnInput>(column: Role): Role => {
    columns.unshift(column)
    names.unshift(column.name)
    return column
  }
  const serial = role({
    name: names.includes('id_of') ? 'id_off' : 'id_of',
    type: 'text',
    required: true,
    ...random.pick([{ maxLength: 30 }, {}]),
  })
  const window =
    loadMode === 'replace-window' || random.chance(0.4)
      ? role(windowColumn(random, fresh(random, names)))
      : undefined
  const scope = random.chance(0.35)
    ? role({
        name: fresh(random, names),
        type: 'text',
        required: true,
        ...random.pick([{ maxLength: 20 }, {}]),
      })
    : undefined
  const dimension = random.chance(0.35)
    ? role({
        name: fresh(random, names),
        type: 'text',
        required: random.chance(0.5),
        maxLength: 50,
        dimension: {
          table: `dim_${seed}`,
          key: random.pick(['code', 'key', 'd', 'wanted', 'select', 'created_at', 'codes']),
          idColumn: fresh(random, names),
          onMissing: 'create',
        },
      })
    : undefined
  const numbers = columns
    .filter(({ type }) => type === 'integer' || type === 'decimal')
    .map(({ name }) => name)
  const partitioned = window?.type === 'date' && random.chance(0.4)
  const key: [string, ...string[]] = partitioned && window ? [serial.name, window.name] : [serial.name]
  const definition: GeneratedCase['definition'] = {
    code: random.chance(0.2) ? longName(seed) : `${random.pick(NAMES)}_${seed}`,
    title: { en: 'Generated', es: 'Generado' },
    table: {
      schema: 'generated',
      name: random.chance(0.2) ? longName(seed) : `${random.pick(NAMES)}_${seed}`,
    },
    columns,
    loadMode,
    maxRejectRatio: 1,
    ...(loadMode === 'upsert' ? { key } : {}),
    ...(random.chance(0.4) ? { unique: { columns: [serial.name] } } : {}),
    ...(window ? { windowColumn: window.name, partitioned } : {}),
    ...(scope ? { scope: { company: scope.name } } : {}),
    ...(scope && window && random.chance(0.5) ? { replaceScope: scope.name } : {}),
    ...(random.chance(0.4) ? { sortBy: [random.pick(columns.slice(0, 4)).name, serial.name] } : {}),
    ...(loadMode === 'upsert' && random.chance(0.4) ? { versionColumn: random.pick(columns).name } : {}),
    ...(numbers.length > 0 && random.chance(0.5)
      ? {
          rules: [
            {
              code: 'sum',
              message: 'never',
              assert: { op: '>=', left: { sum: sumOf(random, numbers) }, right: { value: -1e300 } },
            },
          ],
        }
      : {}),
    ...(random.chance(0.3) ? { batchColumn: 'batch_of' } : {}),
    ...(random.chance(0.3) ? { loadedAtColumn: 'loaded_of' } : {}),
  }
  const files = generateFiles(random, { columns, serial, window, scope, dimension })
  return { seed, definition, ddl: tablesFor(random, definition, partitioned, key), files }
}

function sumOf(random: Random, numbers: readonly string[]): string[] {
  const times = random.pick([1, 1, 2, 100, 1000 / numbers.length])
  return Array.from({ length: Math.max(1, Math.floor(times)) }, () => numbers)
    .flat()
    .slice(0, 1000)
}

function namesFor(random: Random, widest: number): string[] {
  const count = Math.min(
    widest,
    random.pick([1, 1, 2, 3, 4, 5, 6, 8, 12, 12, 40, random.pick([150, 300, 500, 990])]),
  )
  const names = new Set<string>()
  const long = `${'n'.repeat(40)}_${'x'.repeat(14)}`
  if (random.chance(0.1)) names.add(long)
  while (names.size < count)
    names.add(names.size < 60 ? random.pick(NAMES) : `${random.pick(NAMES)}${names.size}`)
  return withoutTwins([...names])
}

/** Headers are compared without punctuation, so `t_0` and `t0` are one. */
function withoutTwins(names: readonly string[]): string[] {
  const seen = new Set<string>()
  return names.filter((name) => {
    const plain = name.replaceAll('_', '')
    return !seen.has(plain) && seen.add(plain)
  })
}

function fresh(random: Random, names: readonly string[]): string {
  const taken = new Set(names.map((name) => name.replaceAll('_', '')))
  const free = NAMES.filter((name) => !OF_UPSERTS.includes(name) && !taken.has(name.replaceAll('_', '')))
  return random.pick(free)
}

function windowColumn(random: Random, name: string): ColumnInput & { type: 'date' | 'timestamp' } {
  const bounds = {
    min: random.pick(['0001-01-02', '1900-01-01', '1999-12-01']),
    max: random.pick([
      '1999-12-31',
      '2100-12-31',
      '2100-12-31',
      '9998-12-31',
      random.pick(['9998-12-31', '9999-12-31']),
    ]),
  }
  if (random.chance(0.6)) return { name, type: 'date', required: true, ...bounds }
  return {
    name,
    type: 'timestamp',
    required: true,
    formats: ['YYYY-MM-DD HH:MM:SS'],
    timeZone: random.pick(['UTC', 'America/Bogota', 'Asia/Tokyo', 'Pacific/Apia']),
    ...bounds,
  }
}

interface Roles {
  columns: readonly ColumnInput[]
  serial: ColumnInput
  window: (ColumnInput & { type: 'date' | 'timestamp' }) | undefined
  scope: ColumnInput | undefined
  dimension: ColumnInput | undefined
}

/** Both files have rows of the same days and scopes; half of the keys of the second are those of the first. */
function generateFiles(random: Random, roles: Roles): [GeneratedRow[], GeneratedRow[]] {
  const { columns, serial, window, scope, dimension } = roles
  const bounds = window && { min: window.min ?? '', max: window.max ?? '' }
  const base = bounds ? random.pick([bounds.min, addDays(bounds.max, -2)]) : undefined
  const days = base === undefined ? [] : [base, addDays(base, 1), addDays(base, 2)]
  const row = (index: number, offset: number): GeneratedRow => {
    const cells = new Map(columns.map((column) => [column.name, generateCell(random, column)]))
    const plain = (name: string, text: string) => cells.set(name, { text, stored: text })
    const number = index + offset
    const long = serial.type === 'text' && serial.maxLength === undefined && index === 7
    plain(serial.name, long ? `K${number}${randomText(random, 3500)}` : `K${number}`)
    if (scope) plain(scope.name, `Company ${index % 2}`)
    if (dimension && (dimension.required || index % 5 > 0))
      plain(dimension.name, `D${index % 4}${offset > 0 ? 'n' : ''}`)
    const day = days[index % 3]
    if (window && day !== undefined) {
      const text = window.type === 'date' ? day : `${day} ${random.pick(['00:00:00', '23:59:59'])}`
      cells.set(window.name, {
        text,
        stored: text,
        ...(window.type === 'timestamp' ? { zone: window.timeZone ?? 'UTC' } : {}),
      })
    }
    return cells
  }
  const rows = (offset: number) => {
    const good = Array.from({ length: 12 }, (_, index) => row(index, offset))
    if (random.chance(0.3)) spoil(random, columns, good[11])
    return good
  }
  return [rows(0), rows(6)]
}

/** A value that only the type text accepts. */
export const BAD = 'not good at all'

function spoil(random: Random, columns: readonly ColumnInput[], row: GeneratedRow | undefined): void {
  const typed = columns.filter(({ type }) => type !== 'text')
  if (typed.length > 0) row?.set(random.pick(typed).name, { text: BAD, stored: null })
}

function tablesFor(
  random: Random,
  definition: GeneratedCase['definition'],
  partitioned: boolean,
  key: readonly string[],
): string[] {
  const { name } = definition.table
  const table = `generated.${quote(name)}`
  const { windowColumn: window = '' } = definition
  const columns = [
    'id bigint not null',
    ...definition.columns.map(
      (column) =>
        `${quote(columnOf(column))} ${typeOf(random, column)}${column.required && random.chance(0.5) ? ' not null' : ''}`,
    ),
    ...(definition.loadMode === 'upsert'
      ? [
          `import_no ${random.pick(['integer', 'bigint'])}`,
          'record bigint',
          `row_hash ${random.pick(['text', 'varchar'])}`,
        ]
      : []),
    ...(definition.batchColumn ? ['batch_of uuid'] : []),
    ...(definition.loadedAtColumn ? ['loaded_of timestamptz default now()'] : []),
  ]
  const extras = [
    '"Extra, ""quoted"" ñ" integer default 7',
    `"two\nlines" text default 'a'`,
    '"doubled, too" bigint generated always as (id * 2) stored',
    ...(partitioned ? [] : ['"numbered" integer generated by default as identity']),
  ].filter(() => columns.length < 1000 && random.chance(0.4))
  const primary = partitioned ? `id, ${quote(window)}` : 'id'
  // A longer declared length is refused in an index; without one, records are rejected.
  const texts = definition.columns.filter(
    (column) => column.type === 'text' && !column.dimension && (column.maxLength ?? 0) <= 600,
  )
  const dimension = definition.columns.find((column) => column.type === 'text' && column.dimension)
  return [
    `create table ${table} (${[...columns, ...extras].join(', ')}, primary key (${primary}))${partitioned ? ` partition by range (${quote(window)})` : ''}`,
    ...(definition.loadMode === 'upsert'
      ? [`create unique index on ${table} (${key.map(quote).join(', ')})`]
      : []),
    ...(texts.length > 0 && random.chance(0.5)
      ? [`create index on ${table} (${quote(random.pick(texts).name)}, id)`]
      : []),
    ...(dimension?.type === 'text' && dimension.dimension
      ? [
          `create table public.dim_${definition.table.name.match(/\d+$/)?.[0]} (id bigint generated always as identity primary key, ${quote(dimension.dimension.key)} text not null unique, created_by_job uuid)`,
        ]
      : []),
  ]
}

/** Returns the column of the table that a column of the definition fills. */
export function columnOf(column: ColumnInput): string {
  return column.type === 'text' && column.dimension ? column.dimension.idColumn : column.name
}

function typeOf(random: Random, column: ColumnInput): string {
  switch (column.type) {
    case 'text':
      return column.dimension ? 'bigint' : random.pick(['text', 'varchar', `varchar(${maxLengthOf(column)})`])
    case 'integer':
      return random.pick([
        { 16: 'smallint', 32: 'integer', 64: 'bigint' }[column.bits ?? 32],
        'bigint',
        'numeric',
      ])
    case 'decimal':
      return random.pick([
        `numeric(${column.precision}, ${column.scale})`,
        'numeric',
        `numeric(60, ${column.scale})`,
      ])
    case 'timestamp':
      return 'timestamptz'
    default:
      return column.type
  }
}

/** Returns a name as a quoted identifier. */
export function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** Returns a file of the given rows. */
export function fileOf(definition: GeneratedCase['definition'], rows: readonly GeneratedRow[]): string {
  const cell = (text: string) => `"${text.replaceAll('"', '""')}"`
  const names = definition.columns.map(({ name }) => name)
  const lines = rows.map((row) => names.map((name) => cell(row.get(name)?.text ?? '')).join(';'))
  return `${[names.join(';'), ...lines].join('\n')}\n`
}
