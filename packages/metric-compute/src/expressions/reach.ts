import type { DayRange } from '@aduana/contracts/dates'
import type { Expression } from '@aduana/contracts/metrics/expression'
import { endOfPeriod, moveDays, startOfPeriod, unionOfDays } from './days.ts'
import { childrenOf } from './walk.ts'

/** Which days the windows of an expression connect. */
export interface Reach {
  /** Returns the days whose values may change when the inputs change on these days. */
  spread(days: readonly DayRange[]): DayRange[]
  /** Returns the days on which the inputs must be read to compute these days. */
  needs(days: readonly DayRange[]): DayRange[]
}

/** Returns the reach of an expression through nested `rolling`, `cumulative` and `growth` nodes. */
export function reachOf(expression: Expression): Reach {
  return {
    spread: (days) => unionOfDays(spread(expression, unionOfDays(days))),
    needs: (days) => unionOfDays(inputNeeds(expression, unionOfDays(days)).flatMap((need) => need.days)),
  }
}

/** An aggregate or metric of an expression, with the days on which it is read. */
export interface InputNeed {
  input: Extract<Expression, { type: 'aggregate' | 'metric' }>
  days: DayRange[]
}

/** Returns what must be read to compute these days. */
export function inputNeeds(node: Expression, days: readonly DayRange[]): InputNeed[] {
  if (node.type === 'aggregate' || node.type === 'metric') return [{ input: node, days: [...days] }]
  const needed = unionOfDays(backwards(node, days))
  return childrenOf(node, '').flatMap((child) => inputNeeds(child.node, needed))
}

/** Returns the days that a node reads of its direct children. */
function backwards(node: Expression, days: readonly DayRange[]): DayRange[] {
  if (node.type === 'rolling') return moveDays(days, 1 - node.days, 0)
  if (node.type === 'growth') return [...days, ...moveDays(days, -node.days, -node.days)]
  if (node.type === 'cumulative')
    return days.map(({ from, to }) => ({ from: startOfPeriod(from, node.reset), to }))
  return [...days]
}

function spread(node: Expression, days: readonly DayRange[]): DayRange[] {
  if (node.type === 'aggregate' || node.type === 'metric') return [...days]
  const changed = unionOfDays(childrenOf(node, '').flatMap((child) => spread(child.node, days)))
  if (node.type === 'rolling') return moveDays(changed, 0, node.days - 1)
  if (node.type === 'growth') return [...changed, ...moveDays(changed, node.days, node.days)]
  if (node.type === 'cumulative')
    return changed.map(({ from, to }) => {
      const last = moveDays([{ from, to }], 0, -1)[0]?.to ?? from
      return { from, to: endOfPeriod(last, node.reset) }
    })
  return changed
}
