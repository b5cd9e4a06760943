import type { DayRange } from '@aduana/contracts/dates'
import type { Expression } from '@aduana/contracts/metrics/expression'
import { endOfPeriod, moveDays, startOfPeriod, unionOfDays } from './days.ts'
import { childrenOf } from './walk.ts'

/** How far days reach through the windows of an expression. */
export interface Reach {
  /** The days whose values may change when rows or values of these days change beneath. */
  spread(days: readonly DayRange[]): DayRange[]
  /** The days beneath that must be read for the values of these days. */
  needs(days: readonly DayRange[]): DayRange[]
}

/** The reach of an expression through `rolling`, `cumulative` and `growth`, however they are nested. */
export function reachOf(expression: Expression): Reach {
  return {
    spread: (days) => unionOfDays(spread(expression, unionOfDays(days))),
    needs: (days) => unionOfDays(inputNeeds(expression, unionOfDays(days)).flatMap((need) => need.days)),
  }
}

/** Each aggregate and metric of an expression, with the days that are needed of it. */
export interface InputNeed {
  input: Extract<Expression, { type: 'aggregate' | 'metric' }>
  days: DayRange[]
}

/** What must be read beneath for the values of these days. */
export function inputNeeds(node: Expression, days: readonly DayRange[]): InputNeed[] {
  if (node.type === 'aggregate' || node.type === 'metric') return [{ input: node, days: [...days] }]
  const beneath = unionOfDays(backwards(node, days))
  return childrenOf(node, '').flatMap((child) => inputNeeds(child.node, beneath))
}

/** The days that one node reads of what is directly beneath it. */
function backwards(node: Expression, days: readonly DayRange[]): DayRange[] {
  if (node.type === 'rolling') return moveDays(days, 1 - node.days, 0)
  if (node.type === 'growth') return [...days, ...moveDays(days, -node.days, -node.days)]
  if (node.type === 'cumulative')
    return days.map(({ from, to }) => ({ from: startOfPeriod(from, node.reset), to }))
  return [...days]
}

function spread(node: Expression, days: readonly DayRange[]): DayRange[] {
  if (node.type === 'aggregate' || node.type === 'metric') return [...days]
  const beneath = unionOfDays(childrenOf(node, '').flatMap((child) => spread(child.node, days)))
  if (node.type === 'rolling') return moveDays(beneath, 0, node.days - 1)
  if (node.type === 'growth') return [...beneath, ...moveDays(beneath, node.days, node.days)]
  if (node.type === 'cumulative')
    return beneath.map(({ from, to }) => {
      const last = moveDays([{ from, to }], 0, -1)[0]?.to ?? from
      return { from, to: endOfPeriod(last, node.reset) }
    })
  return beneath
}
