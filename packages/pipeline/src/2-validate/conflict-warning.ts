import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { type ImportWarning, importWarning } from '@aduana/contracts/import-warnings'
import type { Conflicting } from '@aduana/datasets/validation/results'
import { uniqueRounds } from '@aduana/datasets/validation/uniqueness'

/** Returns the warning for records that agree in what must be unique but differ elsewhere; none when there are none. */
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
  const which = kept.length === 1 ? `the ${kept[0]} one` : 'one'
  const sentences = [
    `${count} ${count === 1 ? 'record agrees' : 'records agree'} with another record in ${columns}, but not in all other columns.`,
    `The first is at line ${line}: ${column} is ${message}.`,
    ...(rejected > 0 ? ['None of them is loaded: they are in quarantine.'] : []),
    ...(lost > 0
      ? [
          `Of such records ${which} is loaded, and the others are kept in conflicts.ndjson; if another one is right, correct the file.`,
        ]
      : []),
  ]
  return [importWarning('conflicting_records', sentences.join(' '), { count })]
}
