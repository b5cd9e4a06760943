import { z } from 'zod'
import { pathOf } from './structure.ts'

/** What text that PostgreSQL cannot store breaks, as a message. */
export const STORABLE_TEXT_RULE = 'must not contain NUL characters or unpaired surrogates'

/** Text that PostgreSQL can store: without NUL and unpaired surrogates. */
export const StorableText = z.string().refine((text) => !/[\0\p{Surrogate}]/u.test(text), {
  error: STORABLE_TEXT_RULE,
})

/** Maximum number of reported parts, and of levels in the path of each. */
const MAX_PARTS = 20
const MAX_LEVELS = 50

interface Part {
  value: unknown
  name: string | number
  parent: Part | undefined
}

/**
 * Returns the paths of the first parts of a JSON value that hold text PostgreSQL cannot store, as `columns[2].title.en`.
 * Member names are checked as well. The value may be nested to any depth.
 */
export function unstorableParts(value: unknown): string[] {
  const found: string[] = []
  // Not recursive, because the call stack is limited. Paths are built only for what is found.
  const open: Part[] = [{ value, name: '', parent: undefined }]
  for (let part = open.pop(); part && found.length < MAX_PARTS; part = open.pop()) {
    const { value, name } = part
    if (isUnstorable(value) || isUnstorable(name)) found.push(pathTo(part))
    if (typeof value !== 'object' || value === null) continue
    for (const [member, inner] of entriesOf(value).reverse())
      open.push({ value: inner, name: member, parent: part })
  }
  return found
}

function isUnstorable(value: unknown): boolean {
  return typeof value === 'string' && !StorableText.safeParse(value).success
}

function entriesOf(value: object): [string | number, unknown][] {
  return Array.isArray(value) ? [...value.entries()] : Object.entries(value)
}

function pathTo(part: Part): string {
  const path: (string | number)[] = []
  for (let at: Part | undefined = part; at?.parent; at = at.parent) path.push(at.name)
  const outermost = path.reverse().slice(0, MAX_LEVELS)
  return pathOf(outermost) + (path.length > MAX_LEVELS ? '…' : '')
}
