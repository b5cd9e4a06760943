import { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { DatasetProblem } from '@aduana/contracts/datasets'
import { firstProblemText, readInput, structureProblems } from '@aduana/contracts/input-problems'
import { ProblemError } from '@aduana/contracts/problems'
import { nestingOf } from '@aduana/contracts/structure'
import { STORABLE_TEXT_RULE, unstorableParts } from '@aduana/contracts/text'

/** Deeper definitions cannot be compiled into one statement. */
const MAX_DEPTH = 60

/**
 * Returns the definition in a request for the dataset `code`. The definition may omit its own code.
 * @throws ProblemError `invalid_dataset` with everything that is wrong with its structure
 */
export function readDefinitionOf(code: string, input: unknown): DatasetDefinition {
  if (nestingOf(input, MAX_DEPTH) > MAX_DEPTH)
    throw invalidDataset([
      { path: '', code: 'invalid', message: `is nested in more than ${MAX_DEPTH} levels` },
    ])
  const own = typeof input === 'object' && input !== null && !Array.isArray(input) ? input : undefined
  const read = readInput(DatasetDefinition, own ? { code, ...own } : input)
  const problems: DatasetProblem[] = structureProblems(read.problems ?? [])
  if (own && 'code' in own && own.code !== code)
    problems.push({ path: 'code', code: 'invalid', message: `must be "${code}" or absent` })
  problems.push(
    ...unstorableParts(input).map(
      (path): DatasetProblem => ({ path, code: 'invalid', message: STORABLE_TEXT_RULE }),
    ),
  )
  if (read.problems || problems.length > 0) throw invalidDataset(problems)
  return read.data
}

/** Returns the problem `invalid_dataset` for a definition, with all its errors. */
export function invalidDataset(problems: readonly DatasetProblem[]): ProblemError {
  const placed = problems.map(({ path, message }) => ({ place: path, message }))
  return new ProblemError('invalid_dataset', firstProblemText(placed, 'The definition'), { problems })
}
