/** A failure that the reader of the terminal can act on: the message is all that is printed, never a stack. */
export class LaunchError extends Error {
  /**
   * @param {string} message what failed, in what state things are, and what to do next
   * @param {number} [exitCode]
   */
  constructor(message, exitCode = 1) {
    super(message)
    this.name = 'LaunchError'
    this.exitCode = exitCode
  }
}

/** The work was aborted because the launcher was stopped (by a signal, or its parent has ended). */
export class Interrupted extends Error {
  constructor() {
    super('interrupted')
    this.name = 'Interrupted'
  }
}

/**
 * @param {unknown} error
 * @returns {number} the exit code that a process ending with this error should have
 */
export function exitCodeOf(error) {
  if (error instanceof Interrupted) return 130
  return error instanceof LaunchError ? error.exitCode : 1
}

/**
 * @param {unknown} error
 * @returns {string | undefined} the code of a system error, such as ENOENT
 */
export function systemCode(error) {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/**
 * @param {unknown} error
 * @returns {boolean} whether it means that this user may not write there
 */
export function isForbidden(error) {
  return ['EACCES', 'EPERM', 'EROFS'].includes(systemCode(error) ?? '')
}
