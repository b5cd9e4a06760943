import type { Dimension } from '@aduana/contracts/dataset-definition'
import type { RowCondition } from '@aduana/contracts/metrics/expression'
import { quoteIdentifier } from '@aduana/datasets/literals'
import { columnOf } from '../expressions/series-kind.ts'
import { groupBy } from '../group-by.ts'
import type { SeriesPlaces } from '../series-place.ts'
import { type Atom, atomsOf, atomText, type Members, placeOf } from './conditions.ts'
import type { Session } from './session.ts'

/** Looks up the dimension members that conditions name by code, with one query per dimension. */
export async function readMembers(
  session: Session,
  wheres: readonly (RowCondition | undefined)[],
  places: SeriesPlaces,
): Promise<Members> {
  const members = new Map<string, readonly string[]>()
  const atoms = new Map(wheres.flatMap(atomsOf).map((atom) => [atomText(atom), atom]))
  const dimensionOf = (atom: Atom): Dimension | undefined => {
    const column = columnOf(placeOf(atom.series, places))
    return column?.type === 'text' ? column.dimension : undefined
  }
  for (const its of groupBy(atoms.values(), (atom) => JSON.stringify(dimensionOf(atom))).values()) {
    const dimension = its[0] && dimensionOf(its[0])
    if (!dimension) continue
    const ids = await idsOf(session, dimension, its.flatMap(codesOf))
    for (const atom of its) {
      const codes = codesOf(atom)
      if (codes.length > 0)
        members.set(
          atomText(atom),
          codes.flatMap((code) => ids.get(code) ?? []),
        )
      else if (atom.op !== 'present' && atom.op !== 'in')
        members.set(atomText(atom), await idsBeyond(session, dimension, atom.op, String(atom.value)))
    }
  }
  return members
}

/** Returns the codes in a comparison; none for a comparison by order. */
function codesOf(atom: Atom): string[] {
  if (atom.op === 'in') return atom.values.map(String)
  return atom.op === '=' || atom.op === '!=' ? [String(atom.value)] : []
}

async function idsOf(
  session: Session,
  { table, key }: Dimension,
  codes: readonly string[],
): Promise<Map<string, string>> {
  if (codes.length === 0) return new Map()
  const code = quoteIdentifier(key)
  const { rows } = await session.run<{ code: string; id: string }>(
    `select ${code} as code, id::text from public.${quoteIdentifier(table)} where ${code} = any ($1::text[])`,
    [codes],
  )
  return new Map(rows.map((row) => [row.code, row.id]))
}

async function idsBeyond(
  session: Session,
  { table, key }: Dimension,
  op: '<' | '<=' | '>' | '>=' | '=' | '!=',
  value: string,
): Promise<string[]> {
  const { rows } = await session.run<{ id: string }>(
    `select id::text from public.${quoteIdentifier(table)} where ${quoteIdentifier(key)} collate "C" ${op} $1`,
    [value],
  )
  return rows.map(({ id }) => id)
}
