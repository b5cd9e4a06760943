import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { DayRange } from '@aduana/contracts/dates'
import { counted } from '@aduana/contracts/figures'
import { type ImportWarning, importWarning } from '@aduana/contracts/import-warnings'
import { TAKE_BACK } from '@aduana/contracts/send-again'
import type { CellCount, Conflicting, ValidationResult } from '@aduana/datasets/validation/results'
import { uniqueRounds } from '@aduana/datasets/validation/uniqueness'
import { windowEndHint } from '../rejects.ts'

/** Returns the warnings about the times and days of a file. */
export function timeWarnings(
  definition: DatasetDefinition,
  window: DayRange | null,
  { repeated, onWindowEnd }: Pick<ValidationResult, 'repeated' | 'onWindowEnd'>,
): ImportWarning[] {
  return [
    ...repeated.map(({ column, rows, line }) => {
      const found = definition.columns.find(({ name }) => name === column)
      const zone = found?.type === 'timestamp' ? found.timeZone : ''
      return importWarning(
        'repeated_hour',
        `${counted(rows, 'time')} of "${column}" (first in line ${line}) ${rows === 1 ? 'is' : 'are'} in an hour that occurred twice in ${zone}, because the clocks went back. The second occurrence was used. If that is wrong, ${TAKE_BACK}. Then write times with their offset from UTC, or set repeatedHour of the column, and send the file again.`,
        { column, count: rows },
      )
    }),
    ...(window && onWindowEnd > 0
      ? [
          importWarning(
            'window_end_excluded',
            windowEndHint(window, onWindowEnd, { mode: definition.loadMode, failed: false }),
            {
              column: definition.windowColumn ?? null,
              count: onWindowEnd,
            },
          ),
        ]
      : []),
  ]
}

/** Returns the warning about records that agree in the unique columns but differ elsewhere; an empty list if there are none. */
export function conflictWarnings(
  definition: DatasetDefinition,
  conflicting: Conflicting | undefined,
): ImportWarning[] {
  if (!conflicting) return []
  const { lost, rejected, line, column, message } = conflicting
  const count = lost + rejected
  const rounds = uniqueRounds(definition)
  const columns = [...new Set(rounds.flatMap((round) => round.columns))].join(', ')
  const kept = [...new Set(rounds.map(({ keeps }) => keeps))].filter((keeps) => keeps !== 'none')
  const which = kept.length === 1 ? `the ${kept[0]} record` : 'one record'
  const sentences = [
    `${counted(count, 'record')} ${count === 1 ? 'has' : 'have'} the same ${columns} as another record, but differ${count === 1 ? 's' : ''} in other columns.`,
    `The first is in line ${line}: ${column} is ${message}.`,
    ...(rejected > 0 ? ['Such records are rejects (conflict). Keep only one of them in the file.'] : []),
    ...(lost > 0
      ? [
          `Of such records, ${which} takes precedence; the others are in conflicts.ndjson. If another record is right, ${TAKE_BACK}. Then correct the file and send it again.`,
        ]
      : []),
  ]
  return [importWarning('conflicting_records', sentences.join(' '), { count })]
}

/** Returns the warning about cells that hold a word for a missing value that the dataset does not declare. */
export function undeclaredNullWord({ column, count }: CellCount): ImportWarning {
  const cells = `${counted(count, 'cell')} of`
  const message = `${cells} "${column}" contain${count === 1 ? 's' : ''} a word such as NULL, NaN or N/A that is not in nullWords, so the word was read as text. If it means "no value", ${TAKE_BACK}. Then add the word to nullWords of the dataset and send the file again. If it is text, declare nullWords: [] for the column.`
  return importWarning('undeclared_null_word', message, { column, count })
}
