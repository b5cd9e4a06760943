import fc from 'fast-check'
import { HOSTILE } from './schema-values.ts'

/** A good value with a few of its parts replaced by hostile ones, taken away, or put there twice. */
export function mutationsOf(good: unknown): fc.Arbitrary<unknown> {
  const places = placesIn(good, [])
  const change = fc.tuple(fc.constantFrom(...places), fc.constantFrom('replace', 'remove', 'repeat'), HOSTILE)
  return fc
    .array(change, { maxLength: 3 })
    .map((changes) =>
      changes.reduce((value, [path, how, hostile]) => changed(value, path, how, hostile), good),
    )
}

type Path = readonly (string | number)[]

function placesIn(value: unknown, path: Path): Path[] {
  if (typeof value !== 'object' || value === null) return [path]
  const members = Array.isArray(value) ? [...value.entries()] : Object.entries(value)
  return [path, ...members.flatMap(([name, inner]) => placesIn(inner, [...path, name]))]
}

function changed(value: unknown, path: Path, how: string, hostile: unknown): unknown {
  const [name, ...rest] = path
  if (name === undefined) return how === 'replace' ? hostile : value
  if (Array.isArray(value) && typeof name === 'number') {
    // An earlier change has taken the items away.
    if (value.length === 0) return value
    const inner: unknown = value[name]
    if (rest.length > 0)
      return value.with(Math.min(name, value.length - 1), changed(inner, rest, how, hostile))
    if (how === 'remove') return value.toSpliced(name, 1)
    return value.toSpliced(name, how === 'replace' ? 1 : 0, how === 'replace' ? hostile : inner)
  }
  // An earlier change has taken the place away.
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return value
  const { [name]: inner, ...others }: Record<string, unknown> = { ...value }
  if (rest.length > 0) return { ...others, [name]: changed(inner, rest, how, hostile) }
  if (how === 'remove') return others
  return how === 'replace' ? { ...others, [name]: hostile } : { ...value, [`${name}_`]: inner }
}
