import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { counted } from '@aduana/contracts/figures'
import { type ImportWarning, importWarning } from '@aduana/contracts/import-warnings'
import { TAKE_BACK } from '@aduana/contracts/send-again'
import type { Conflicting } from '@aduana/datasets/validation/results'
import { uniqueRounds } from '@aduana/datasets/validation/uniqueness'

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
