import { z } from 'zod'

/** Names that become SQL identifiers. Short enough that suffixes still fit into PostgreSQL's 63 bytes. */
export const Identifier = z
  .string()
  .regex(/^[a-z][a-z0-9_]{0,54}$/, 'must be a lower-case name of at most 55 letters, digits and _')

/** Patterns run on RE2: linear time, no look-around. Their length is bounded because counted repeats cost memory. */
const Pattern = z.string().min(1).max(500)

/**
 * `D` and `M` take one digit or two, `DD` and `MM` exactly two. `YY` needs `twoDigitYearPivot`. In `MM/DD/YYYY` and its
 * like the month stands first.
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
 * `H` takes one digit or two. `ISO8601` is `YYYY-MM-DDTHH:MM` with a `T` or a blank, and optional seconds, fractions of
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

/** Steps applied to the text of a cell, in this order, before any rule looks at it. Outer white space always goes. */
export const Normalisation = z.enum(['upper', 'lower', 'collapse-spaces', 'strip-accents', 'digits-only'])
export type Normalisation = z.infer<typeof Normalisation>

/** A look-up of a code in a dimension table; the fact stores the surrogate id in `idColumn`. */
export const Dimension = z.strictObject({
  table: Identifier,
  key: Identifier,
  idColumn: Identifier,
  onMissing: z.enum(['create', 'quarantine']),
})
export type Dimension = z.infer<typeof Dimension>

/** Words that stand for no value, compared in any case. */
const NullWords = z.array(z.string().trim().min(1).max(100)).max(100)

const columnBase = {
  name: Identifier,
  title: z.strictObject({ en: z.string().min(1), es: z.string().min(1) }).optional(),
  /** Must have a value. */
  required: z.boolean().default(false),
  /** Other header names under which files bring this column. Compared without case, accents and punctuation. */
  aliases: z.array(z.string().min(1).max(100)).default([]),
  normalise: z.array(Normalisation).default([]),
  /** In place of the dataset's words for no value. An empty list: every text of the column is a value. */
  nullWords: NullWords.optional(),
  /** Written by others later: never set, compared or undone by a load. */
  managed: z.boolean().default(false),
  /** Personal or confidential: masked in logs. */
  restricted: z.boolean().default(false),
}

export const TextColumn = z.strictObject({
  ...columnBase,
  type: z.literal('text'),
  /**
   * Whether its texts are codes, which are cleaned of what is not seen, or free text. Unless said, it is a code if it
   * identifies rows or has a dimension, a pattern or a list of values.
   */
  code: z.boolean().optional(),
  minLength: z.int().min(0).optional(),
  /** Characters; `maxLengthOf` says how many where none are written. */
  maxLength: z.int().min(1).max(1_000_000).optional(),
  pattern: Pattern.optional(),
  /** What the pattern means, for the message: "M and three digits". */
  patternMeaning: z.string().max(200).optional(),
  enum: z.array(z.string()).min(1).max(10_000).optional(),
  dimension: Dimension.optional(),
})
export type TextColumn = z.infer<typeof TextColumn>

const DEFAULT_MAX_LENGTH = 4000

/** Returns how many characters the texts of a column may have. */
export function maxLengthOf({ maxLength }: Pick<TextColumn, 'maxLength'>): number {
  return maxLength ?? DEFAULT_MAX_LENGTH
}

/** A character that parts the digits before the decimal mark into groups of three. A blank may be one that does not break. */
export const ThousandsMark = z.enum(['point', 'comma', 'blank', 'apostrophe'])
export type ThousandsMark = z.infer<typeof ThousandsMark>

/** How decimals are marked. `either`: each file by one of the two, which its cells decide. */
export const DecimalMark = z.enum(['point', 'comma', 'either'])
export type DecimalMark = z.infer<typeof DecimalMark>

/** The marks that numbers may have between thousands; without it, none. */
const thousandsMarks = z.array(ThousandsMark).min(1).optional()

/** How days and months of two digits are told apart, and two-digit years are completed. */
const momentReading = {
  /**
   * `declared`: the formats say which of day and month stands first, and nothing is to be noticed about it. Else a file
   * of which only the format says so is told as a warning, unless the column has a single format.
   */
  dayMonthOrder: z.enum(['checked', 'declared']).optional(),
  /** Two-digit years below it are 20YY, the others 19YY. */
  twoDigitYearPivot: z.int().min(0).max(100).optional(),
}

export const IntegerColumn = z.strictObject({
  ...columnBase,
  type: z.literal('integer'),
  /** Size in bits of the column of the table; values that do not fit are rejects. */
  bits: z.union([z.literal(16), z.literal(32), z.literal(64)]).default(32),
  thousandsMarks,
  /** A whole number may be written with zeros behind this decimal mark: `120.0`. Without it, only as digits. */
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
  /** The zone of values that carry no offset of their own. */
  timeZone: z.string().default('America/Bogota'),
  /**
   * Which of its two instants a value without an offset is when clocks go back and show it twice. Unless said, it is the
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

/** What a cross-column rule compares: a column, a constant, or the sum of columns (an empty cell counts as 0). */
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
 * How much an import may change by itself. Rows that it changes or removes count, against the rows that the days it
 * touches held before; new rows do not. Above one of the limits a person must approve the preview.
 */
export const ApprovalRule = z
  .strictObject({
    above: z
      .strictObject({
        /** More changed and removed rows than this. */
        rows: z.int().min(0).optional(),
        /** A larger share of the rows that were there than this, from 0 to 1. */
        share: z.number().min(0).max(1).optional(),
      })
      .refine(({ rows, share }) => rows !== undefined || share !== undefined, {
        error: 'give rows, share, or both',
      })
      .optional(),
    /** A file of which no cell says where its decimals begin, or whether the day or the month stands first. */
    ambiguous: z.boolean().optional(),
  })
  .refine(({ above, ambiguous }) => above !== undefined || ambiguous !== undefined, {
    error: 'give above, ambiguous, or both',
  })
export type ApprovalRule = z.infer<typeof ApprovalRule>

const Days = z.int().min(1).max(36_500)

/**
 * For how many days after the end of a job its files are kept. What an undo, a retry within this time or an open reject
 * still needs is kept longer.
 */
export const Retention = z.strictObject({
  /** The files as they came. */
  originals: Days.default(400),
  /** What stages hand on to each other. A failed job can be retried as long as they are there. */
  intermediates: Days.default(14),
  /** The files of rejects and duplicates, and whatever else can be downloaded. */
  rejects: Days.default(400),
  /** How long after its load an import can be undone: the rows that it replaced are kept as long. */
  undoDays: Days.default(90),
})
export type Retention = z.infer<typeof Retention>

/** A declared dataset: what its records look like, which are good, and how they enter its table. */
export const DatasetDefinition = z
  .strictObject({
    code: Identifier,
    title: z.strictObject({ en: z.string().min(1), es: z.string().min(1) }),
    table: z.strictObject({ schema: Identifier.default('public'), name: Identifier }),
    columns: z.array(Column).min(1).max(1000),
    /** Columns of the file that the definition does not know: told and left out, or a reason to fail. */
    unknownColumns: z.enum(['ignore', 'fail']).default('ignore'),
    /** Words that stand for no value in every column that declares none of its own, as `NULL` or `N/A`. */
    nullWords: NullWords.optional(),
    rules: z.array(CrossRule).default([]),
    /**
     * No two records of a file may agree in these. Of those that do, the first or the last is loaded; the others are
     * duplicates when all of their values are equal, else conflicts. With `none`, conflicting records are all rejects.
     */
    unique: z
      .strictObject({
        columns: z.array(Identifier).min(1),
        keep: z.enum(['first', 'last', 'none']).default('first'),
      })
      .optional(),
    /** Where its rows come from: files of people and sources, or the results that runners of metrics announce. */
    origin: z.enum(['files', 'runs']).default('files'),
    loadMode: LoadMode,
    /** Natural key of an upsert: a unique constraint of the table. */
    key: z.array(Identifier).min(1).optional(),
    /** In an upsert a row whose value here is older than the stored one leaves the stored one as it is. */
    versionColumn: Identifier.optional(),
    /** The day of a record; windows are ranges of it. */
    windowColumn: Identifier.optional(),
    /** Range partitions by month on the window column are made when they are needed. */
    partitioned: z.boolean().default(false),
    /** The longest range of days that one import may replace, declared or not. */
    maxWindowDays: z.int().positive().default(400),
    /** Columns that say to which company and warehouse a row belongs. */
    scope: z.strictObject({ company: Identifier, warehouse: Identifier.optional() }).optional(),
    /** The part of the scope that one import replaces by itself, side by side with others. */
    replaceScope: Identifier.optional(),
    /** Order in which rows are written: the columns of the table's index. */
    sortBy: z.array(Identifier).default([]),
    /** More rejects than this share of the records, and nothing is loaded. */
    maxRejectRatio: z.number().min(0).max(1).default(0.2),
    /** Above which change an import waits for a person. Without it, none does unless its uploader asks for it. */
    approval: ApprovalRule.optional(),
    /** Rejects beyond this number stay in the downloadable file only. */
    quarantineCap: z.int().min(1).max(5_000_000).default(100_000),
    /** Column of the table that takes the id of the import a row came with. */
    batchColumn: Identifier.optional(),
    /** Column of the table, with `now()` as default, that an update sets to the time of the load. */
    loadedAtColumn: Identifier.optional(),
    retention: Retention.prefault({}),
  })
  .superRefine((definition, context) => {
    for (const { message, path } of inconsistencies(definition))
      context.addIssue({ code: 'custom', message, path })
  })
export type DatasetDefinition = z.infer<typeof DatasetDefinition>
/** A definition as an author writes it: what has a default may be left out. */
export type DatasetDefinitionInput = z.input<typeof DatasetDefinition>

/** All columns that a condition looks at. */
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

/** What does not fit together in a definition whose parts are each well formed, with the path to the part. */
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
    found.push({ message: 'an upsert needs a key', path: ['key'] })
  if (definition.partitioned && window?.type !== 'date')
    found.push({ message: 'a partitioned table needs a date as window column', path: ['partitioned'] })
  return found
}

/** Every place of a definition that names a column. */
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
