/** The transitions of a state machine: from each state to those in its list. */
export type Transitions<State extends string> = Readonly<Record<State, readonly State[]>>

/** The program attempted a transition that the state machine does not have, which is a programming error. */
export class IllegalTransitionError extends Error {
  override readonly name = 'IllegalTransitionError'
}

/**
 * Checks that a state machine has a transition to `to` from each of the states `from`. A state may also remain. `subject` names
 * what has the state: `a job`.
 * @throws IllegalTransitionError
 */
export function assertTransitions<State extends string>(
  transitions: Transitions<State>,
  subject: string,
  from: readonly State[],
  to: State,
): void {
  const illegal = from.find((state) => state !== to && !transitions[state].includes(to))
  if (illegal !== undefined)
    throw new IllegalTransitionError(`illegal transition of ${subject} from ${illegal} to ${to}`)
}
