import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { DayRange } from '@aduana/contracts/dates'
import { counted } from '@aduana/contracts/figures'
import { type ImportWarning, importWarning } from '@aduana/contracts/import-warnings'
import { TAKE_BACK } from '@aduana/contracts/send-again'
import type { ValidationResult } from '@aduana/datasets/validation/results'
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
