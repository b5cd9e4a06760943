import { z } from 'zod'

/** A name that becomes an SQL identifier. Short enough for suffixes within PostgreSQL's 63 bytes. */
export const Identifier = z
  .string()
  .regex(/^[a-z][a-z0-9_]{0,54}$/, 'must be a lower-case name of at most 55 letters, digits and _')

/** An RE2 pattern: linear time, no look-around. Its length is bounded because counted repetitions cost memory. */
const Pattern = z.string().min(1).max(500)

/**
 * `D` and `M` match one or two digits, `DD` and `MM` exactly two. `YY` requires `twoDigitYearPivot`. Formats such as
 * `MM/DD/YYYY` have the month first.
 */
export const DATE_FORMATS = [
  'YYYY-MM-DD',
  'DD/MM/YYYY',
  'DD-MM-YYYY',
  'YYYY/MM/DD',
  'DD.MM.YYYY',
  'YYYYMMDD',
  'D/M/YYYY',
  'D-M-YYYY',
  'D.M.YYYY',
  'MM/DD/YYYY',
  'MM-DD-YYYY',
  'M/D/YYYY',
  'M-D-YYYY',
  'DD/MM/YY',
  'DD-MM-YY',
  'DD.MM.YY',
  'D/M/YY',
  'D-M-YY',
  'D.M.YY',
  'MM/DD/YY',
  'M/D/YY',
] as const
/**
 * `H` matches one or two digits. `ISO8601` is `YYYY-MM-DDTHH:MM` with a `T` or a blank, and optional seconds, fractions of
 * them down to microseconds, and an offset.
 */
export const TIMESTAMP_FORMATS = [
  'YYYY-MM-DD HH:MM:SS',
  'YYYY-MM-DD HH:MM',
  'YYYY-MM-DDTHH:MM:SS',
  'YYYY/MM/DD HH:MM',
  'YYYY/MM/DD HH:MM:SS',
  'DD/MM/YYYY HH:MM',
  'DD/MM/YYYY HH:MM:SS',
  'D/M/YYYY H:MM',
  'D/M/YYYY H:MM:SS',
  'D-M-YYYY H:MM',
  'D-M-YYYY H:MM:SS',
  'D.M.YYYY H:MM',
  'D.M.YYYY H:MM:SS',
  'MM/DD/YYYY HH:MM',
  'MM/DD/YYYY HH:MM:SS',
  'M/D/YYYY H:MM',
  'M/D/YYYY H:MM:SS',
  'DD/MM/YY HH:MM',
  'DD/MM/YY HH:MM:SS',
  'D/M/YY H:MM',
  'D/M/YY H:MM:SS',
  'ISO8601',
] as const

/** Steps applied to the text of a cell, in this order, before any rule. Outer white space is always removed. */
export const Normalisation = z.enum(['upper', 'lower', 'collapse-spaces', 'strip-accents', 'digits-only'])
export type Normalisation = z.infer<typeof Normalisation>

/** A look-up of a code in a dimension table. The fact table stores the surrogate id in `idColumn`. */
export const Dimension = z.strictObject({
  table: Identifier,
  key: Identifier,
  idColumn: Identifier,
  onMissing: z.enum(['create', 'quarantine']),
})
export type Dimension = z.infer<typeof Dimension>

/** Words that mean no value, compared case-insensitively. */
const NullWords = z.array(z.string().trim().min(1).max(100)).max(100)

const columnBase = {
  name: Identifier,
  title: z.strictObject({ en: z.string().min(1), es: z.string().min(1) }).optional(),
  /** Must have a value. */
  required: z.boolean().default(false),
  /** Other header names of this column in files. Compared without case, accents and punctuation. */
  aliases: z.array(z.string().min(1).max(100)).default([]),
  normalise: z.array(Normalisation).default([]),
  /** Replaces the dataset's `nullWords` for this column. With an empty list every text is a value. */
  nullWords: NullWords.optional(),
  /** Written by other programs: a load never sets, compares or undoes it. */
  managed: z.boolean().default(false),
  /** Personal or confidential: masked in logs. */
  restricted: z.boolean().default(false),
}

export const TextColumn = z.strictObject({
  ...columnBase,
  type: z.literal('text'),
  /**
   * Whether its texts are codes, from which invisible characters are removed, or free text. By default it is a code if
   * it identifies rows or has a dimension, a pattern or a list of values.
   */
  code: z.boolean().optional(),
  minLength: z.int().min(0).optional(),
  /** In characters. `maxLengthOf` has the default. */
  maxLength: z.int().min(1).max(1_000_000).optional(),
  pattern: Pattern.optional(),
  /** What the pattern means, for the message: "M and three digits". */
  patternMeaning: z.string().max(200).optional(),
  enum: z.array(z.string()).min(1).max(10_000).optional(),
  dimension: Dimension.optional(),
})
export type TextColumn = z.infer<typeof TextColumn>

const DEFAULT_MAX_LENGTH = 4000

/** Returns the maximum length of the texts of a column, in characters. */
export function maxLengthOf({ maxLength }: Pick<TextColumn, 'maxLength'>): number {
  return maxLength ?? DEFAULT_MAX_LENGTH
}

/** A separator between groups of three digits before the decimal mark. `blank` includes no-break spaces. */
export const ThousandsMark = z.enum(['point', 'comma', 'blank', 'apostrophe'])
export type ThousandsMark = z.infer<typeof ThousandsMark>

/** The decimal mark. `either`: each file uses one of the two, which its cells decide. */
export const DecimalMark = z.enum(['point', 'comma', 'either'])
export type DecimalMark = z.infer<typeof DecimalMark>

/** The separators that numbers may have between thousands; none by default. */
const thousandsMarks = z.array(ThousandsMark).min(1).optional()

/** How day and month are told apart, and how two-digit years are completed. */
const momentReading = {
  /**
   * `declared`: the formats decide whether day or month comes first, without a warning. Otherwise an import warns when
   * only the format decides, unless the column has a single format.
   */
  dayMonthOrder: z.enum(['checked', 'declared']).optional(),
  /** Two-digit years below it are 20YY, the others 19YY. */
  twoDigitYearPivot: z.int().min(0).max(100).optional(),
}

export const IntegerColumn = z.strictObject({
  ...columnBase,
  type: z.literal('integer'),
  /** Size in bits of the column in the table. Values that do not fit are rejected. */
  bits: z.union([z.literal(16), z.literal(32), z.literal(64)]).default(32),
  thousandsMarks,
  /** Allows zeros after this decimal mark: `120.0`. By default only digits are allowed. */
  zeroFraction: DecimalMark.optional(),
  min: z.int().optional(),
  max: z.int().optional(),
})
export type IntegerColumn = z.infer<typeof IntegerColumn>

export const DecimalColumn = z.strictObject({
  ...columnBase,
  type: z.literal('decimal'),
  precision: z.int().min(1).max(38),
  scale: z.int().min(0).max(37),
  decimalMark: DecimalMark.default('point'),
  thousandsMarks,
  min: z.number().optional(),
  max: z.number().optional(),
})
export type DecimalColumn = z.infer<typeof DecimalColumn>

export const DateColumn = z.strictObject({
  ...columnBase,
  type: z.literal('date'),
  formats: z.array(z.enum(DATE_FORMATS)).min(1).default(['YYYY-MM-DD']),
  /** A time of midnight may follow: `2026-01-31 00:00:00`. */
  midnight: z.boolean().optional(),
  ...momentReading,
  min: z.iso.date().default('1900-01-01'),
  max: z.iso.date().default('2100-12-31'),
})
export type DateColumn = z.infer<typeof DateColumn>

export const TimestampColumn = z.strictObject({
  ...columnBase,
  type: z.literal('timestamp'),
  formats: z.array(z.enum(TIMESTAMP_FORMATS)).min(1).default(['YYYY-MM-DD HH:MM:SS']),
  ...momentReading,
  /** The zone of values without an offset. */
  timeZone: z.string().default('America/Bogota'),
  /**
   * Which instant a value without an offset means in the hour that repeats when clocks go back. By default it is the
   * second, and the import warns.
   */
  repeatedHour: z.enum(['first', 'second', 'reject']).optional(),
  min: z.iso.date().default('1900-01-01'),
  max: z.iso.date().default('2100-12-31'),
})
export type TimestampColumn = z.infer<typeof TimestampColumn>

const BooleanColumn = z.strictObject({
  ...columnBase,
  type: z.literal('boolean'),
  trueWords: z.array(z.string()).min(1).default(['true', 'si', 'sí', 'yes', 's', 'y', '1']),
  falseWords: z.array(z.string()).min(1).default(['false', 'no', 'n', '0']),
})
export type BooleanColumn = z.infer<typeof BooleanColumn>

export const Column = z.discriminatedUnion('type', [
  TextColumn,
  IntegerColumn,
  DecimalColumn,
  DateColumn,
  TimestampColumn,
  BooleanColumn,
])
export type Column = z.infer<typeof Column>

/** An operand of a cross-column rule: a column, a constant, or the sum of columns (an empty cell counts as 0). */
export const Operand = z.union([
  z.strictObject({ column: Identifier }),
  z.strictObject({ value: z.union([z.string(), z.number(), z.boolean()]) }),
  z.strictObject({ sum: z.array(Identifier).min(1) }),
])
export type Operand = z.infer<typeof Operand>

export type Condition =
  | { op: '=' | '!=' | '<' | '<=' | '>' | '>='; left: Operand; right: Operand }
  | { op: 'present'; column: string }
  | { op: 'all'; of: Condition[] }
  | { op: 'any'; of: Condition[] }
  | { op: 'not'; of: Condition }

/** A condition over the columns of one record. A comparison with an empty cell is neither true nor a violation. */
export const Condition: z.ZodType<Condition> = z.lazy(() =>
  z.union([
    z.strictObject({ op: z.enum(['=', '!=', '<', '<=', '>', '>=']), left: Operand, right: Operand }),
    z.strictObject({ op: z.literal('present'), column: Identifier }),
    z.strictObject({ op: z.literal('all'), of: z.array(Condition).min(1) }),
    z.strictObject({ op: z.literal('any'), of: z.array(Condition).min(1) }),
    z.strictObject({ op: z.literal('not'), of: Condition }),
  ]),
)

/** A rule over several columns: where `when` holds (always, if absent), `assert` must hold. */
export const CrossRule = z.strictObject({
  code: Identifier,
  message: z.string().min(1).max(300),
  column: Identifier.optional(),
  when: Condition.optional(),
  assert: Condition,
})
export type CrossRule = z.infer<typeof CrossRule>

export const LoadMode = z.enum(['replace-window', 'upsert', 'append'])
export type LoadMode = z.infer<typeof LoadMode>

/**
 * How much an import may change without approval. Changed and removed rows are counted and compared with the rows that the
 * touched days had before; new rows are not counted. Above one of the limits the preview must be approved.
 */
export const ApprovalRule = z
  .strictObject({
    above: z
      .strictObject({
        /** Maximum number of changed and removed rows. */
        rows: z.int().min(0).optional(),
        /** Maximum share of the rows that existed before, from 0 to 1. */
        share: z.number().min(0).max(1).optional(),
      })
      .refine(({ rows, share }) => rows !== undefined || share !== undefined, {
        error: 'must have rows, share, or both',
      })
      .optional(),
    /** Require approval when no cell of the file decides its decimal mark, or whether day or month comes first. */
    ambiguous: z.boolean().optional(),
  })
  .refine(({ above, ambiguous }) => above !== undefined || ambiguous !== undefined, {
    error: 'must have above, ambiguous, or both',
  })
export type ApprovalRule = z.infer<typeof ApprovalRule>

const Days = z.int().min(1).max(36_500)

/**
 * How many days the files of a job are kept after its end. Files that an undo, a retry or an open reject still needs are
 * kept longer.
 */
export const Retention = z.strictObject({
  /** The original files. */
  originals: Days.default(400),
  /** The files between stages. A failed job can be retried as long as they exist. */
  intermediates: Days.default(14),
  /** The files of rejects and duplicates, and all other downloads. */
  rejects: Days.default(400),
  /** How long after its load an import can be undone. The rows that it replaced are kept as long. */
  undoDays: Days.default(90),
})
export type Retention = z.infer<typeof Retention>

/** The definition of a dataset: its columns, its rules, and how records are loaded into its table. */
export const DatasetDefinition = z
  .strictObject({
    code: Identifier,
    title: z.strictObject({ en: z.string().min(1), es: z.string().min(1) }),
    table: z.strictObject({ schema: Identifier.default('public'), name: Identifier }),
    columns: z.array(Column).min(1).max(1000),
    /** Columns of the file that are not in the definition: ignored and reported, or a failure. */
    unknownColumns: z.enum(['ignore', 'fail']).default('ignore'),
    /** Words that mean no value, such as `NULL` or `N/A`, in columns without `nullWords` of their own. */
    nullWords: NullWords.optional(),
    rules: z.array(CrossRule).default([]),
    /**
     * Columns whose values identify a record in a file. Of records with equal values, the first or the last is loaded; the
     * others are duplicates if all their values are equal, otherwise conflicts. With `none`, all conflicting records are rejects.
     */
    unique: z
      .strictObject({
        columns: z.array(Identifier).min(1),
        keep: z.enum(['first', 'last', 'none']).default('first'),
      })
      .optional(),
    /** The source of its rows: uploaded files, or the results of metric runs. */
    origin: z.enum(['files', 'runs']).default('files'),
    loadMode: LoadMode,
    /** Natural key of an upsert: a unique constraint of the table. */
    key: z.array(Identifier).min(1).optional(),
    /** An upsert does not update a stored row whose value here is newer. */
    versionColumn: Identifier.optional(),
    /** The column with the day of a record. Windows are ranges of it. */
    windowColumn: Identifier.optional(),
    /** The table is partitioned by month on the window column. Partitions are created when needed. */
    partitioned: z.boolean().default(false),
    /** Maximum number of days that one import may replace, with or without a declared window. */
    maxWindowDays: z.int().positive().default(400),
    /** The columns with the company and warehouse of a row. */
    scope: z.strictObject({ company: Identifier, warehouse: Identifier.optional() }).optional(),
    /** The column whose values imports replace independently of each other. */
    replaceScope: Identifier.optional(),
    /** The order in which rows are written: usually the columns of the table's index. */
    sortBy: z.array(Identifier).default([]),
    /** Maximum share of rejects among the records. Above it nothing is loaded. */
    maxRejectRatio: z.number().min(0).max(1).default(0.2),
    /** When an import requires approval. Without it, only if the uploader requests it. */
    approval: ApprovalRule.optional(),
    /** Maximum number of rejects in quarantine. The file has all of them. */
    quarantineCap: z.int().min(1).max(5_000_000).default(100_000),
    /** Column of the table for the id of the import. */
    batchColumn: Identifier.optional(),
    /** Column of the table for the time of the load. Its default is `now()`; updates set it. */
    loadedAtColumn: Identifier.optional(),
    retention: Retention.prefault({}),
  })
  .superRefine((definition, context) => {
    for (const { message, path } of inconsistencies(definition))
      context.addIssue({ code: 'custom', message, path })
  })
export type DatasetDefinition = z.infer<typeof DatasetDefinition>
/** A definition as its author writes it: fields with a default are optional. */
export type DatasetDefinitionInput = z.input<typeof DatasetDefinition>

/** Returns all columns that a condition uses. */
function conditionColumns(condition: Condition): string[] {
  if (condition.op === 'present') return [condition.column]
  if (condition.op === 'not') return conditionColumns(condition.of)
  if (condition.op === 'all' || condition.op === 'any') return condition.of.flatMap(conditionColumns)
  return [condition.left, condition.right].flatMap((operand) =>
    'column' in operand ? [operand.column] : 'sum' in operand ? operand.sum : [],
  )
}

type Unchecked = Pick<
  DatasetDefinition,
  | 'columns'
  | 'unique'
  | 'key'
  | 'sortBy'
  | 'versionColumn'
  | 'windowColumn'
  | 'scope'
  | 'replaceScope'
  | 'rules'
  | 'loadMode'
  | 'partitioned'
>
type Path = (string | number)[]

/** Returns the contradictions in a definition whose parts are each valid, with the path of the part. */
function inconsistencies(definition: Unchecked): { message: string; path: Path }[] {
  const names = definition.columns.map((column) => column.name)
  const twice = names.flatMap((name, index) =>
    names.indexOf(name) < index
      ? [{ message: `column "${name}" is declared twice`, path: ['columns', index, 'name'] }]
      : [],
  )
  const unknown = columnReferences(definition)
    .filter(([name]) => !names.includes(name))
    .map(([name, path]) => ({ message: `there is no column "${name}"`, path }))
  const window = definition.columns.find((column) => column.name === definition.windowColumn)
  const found = [...twice, ...unknown]
  if (window && window.type !== 'date' && window.type !== 'timestamp')
    found.push({ message: 'the window column must be a date or a timestamp', path: ['windowColumn'] })
  if (window && !window.required)
    found.push({ message: 'the window column must be required', path: ['windowColumn'] })
  if (definition.loadMode === 'upsert' && !definition.key)
    found.push({ message: 'the load mode "upsert" requires a key', path: ['key'] })
  if (definition.partitioned && window?.type !== 'date')
    found.push({
      message: 'a partitioned table requires a window column of type date',
      path: ['partitioned'],
    })
  return found
}

/** Returns every reference to a column in a definition, with its path. */
function columnReferences(definition: Unchecked): [string, Path][] {
  const list = (names: readonly string[] | undefined, path: Path): [string, Path][] =>
    (names ?? []).map((name, index) => [name, [...path, index]])
  const one = (name: string | undefined, path: Path): [string, Path][] =>
    name === undefined ? [] : [[name, path]]
  return [
    ...list(definition.unique?.columns, ['unique', 'columns']),
    ...list(definition.key, ['key']),
    ...list(definition.sortBy, ['sortBy']),
    ...one(definition.versionColumn, ['versionColumn']),
    ...one(definition.windowColumn, ['windowColumn']),
    ...one(definition.scope?.company, ['scope', 'company']),
    ...one(definition.scope?.warehouse, ['scope', 'warehouse']),
    ...one(definition.replaceScope, ['replaceScope']),
    ...definition.rules.flatMap((rule, index): [string, Path][] => [
      ...one(rule.column, ['rules', index, 'column']),
      ...conditionColumns(rule.assert).map((name): [string, Path] => [name, ['rules', index, 'assert']]),
      ...(rule.when ? conditionColumns(rule.when) : []).map((name): [string, Path] => [
        name,
        ['rules', index, 'when'],
      ]),
    ]),
  ]
}
