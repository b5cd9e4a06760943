import type { Column } from '@aduana/contracts/dataset-definition'
import { Day } from '@aduana/contracts/dates'
import { z } from 'zod'

const Moment = z.iso.datetime({ offset: true, local: true })

/** Returns why a column cannot be compared with a constant, as the rest of a sentence; undefined when it can. */
export function comparisonClash(
  column: Column,
  op: string,
  value: string | number | boolean,
): string | undefined {
  const given = JSON.stringify(value)
  switch (column.type) {
    case 'integer':
    case 'decimal':
      return typeof value === 'number' ? undefined : `has numbers, but is compared with ${given}`
    case 'text':
      return typeof value === 'string' ? undefined : `has texts, but is compared with ${given}`
    case 'date':
      return Day.safeParse(value).success
        ? undefined
        : `has days, but is compared with ${given}. Write a day such as "2026-12-31"`
    case 'timestamp':
      return Day.safeParse(value).success || Moment.safeParse(value).success
        ? undefined
        : `has times, but is compared with ${given}. Write a time such as "2026-12-31T23:59:59" or "2026-12-31T23:59:59-05:00"`
    case 'boolean':
      if (typeof value !== 'boolean') return `has true and false, but is compared with ${given}`
      return op === '=' || op === '!=' || op === 'in'
        ? undefined
        : 'has true and false, which have no order. Use "=", "!=" or "in"'
  }
}
