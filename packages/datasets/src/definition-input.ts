import { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { DatasetProblem } from '@aduana/contracts/datasets'
import { ProblemError } from '@aduana/contracts/problems'
import { nestingOf, pathOf, structureProblems } from '@aduana/contracts/structure'

/** More is neither needed nor can it be compiled into one statement. */
const MOST_DEPTH = 60

/**
 * A definition as it came, for the dataset of an address; its own code may be left out.
 * @throws ProblemError `invalid_dataset` with everything that is wrong with its structure
 */
export function readDefinitionOf(code: string, input: unknown): DatasetDefinition {
  if (nestingOf(input, MOST_DEPTH) > MOST_DEPTH)
    throw invalidDataset([{ path: '', code: 'invalid', message: 'is nested too deeply to be read' }])
  const own = typeof input === 'object' && input !== null && !Array.isArray(input) ? input : undefined
  const parsed = DatasetDefinition.safeParse(own ? { code, ...own } : input)
  const problems: DatasetProblem[] = parsed.success ? [] : structureProblems(parsed.error)
  if (own && 'code' in own && own.code !== code)
    problems.push({ path: 'code', code: 'invalid', message: `must be "${code}", or left out` })
  problems.push(...unstorableTexts(input))
  if (!parsed.success || problems.length > 0) throw invalidDataset(problems)
  return parsed.data
}

/** The refusal of a definition, with everything that is wrong with it. */
export function invalidDataset(problems: readonly DatasetProblem[]): ProblemError {
  const [first] = problems
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : ''
  const where = first?.path ? `${first.path}: ` : ''
  return new ProblemError(
    'invalid_dataset',
    `${where}${first?.message ?? 'nothing is known about it'}${more}`,
    {
      problems,
    },
  )
}

/** Texts that neither PostgreSQL nor DuckDB can hold. */
function unstorableTexts(value: unknown, path: readonly (string | number)[] = []): DatasetProblem[] {
  if (typeof value === 'string')
    return value.includes('\0') || hasLoneSurrogate(value)
      ? [{ path: pathOf(path), code: 'invalid', message: 'holds a character that cannot be stored' }]
      : []
  if (Array.isArray(value)) return value.flatMap((inner, index) => unstorableTexts(inner, [...path, index]))
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, inner]) => unstorableTexts(inner, [...path, name]))
}

function hasLoneSurrogate(text: string): boolean {
  return /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/.test(text)
}
