import { ChildProcess } from 'node:child_process'

/* Loaded before each file of the unit tier: a unit test that starts a process fails, whoever starts it. */

Reflect.set(ChildProcess.prototype, 'spawn', () => {
  throw new Error(
    'A unit test has started a process. A test that needs one imports node:child_process, @aduana/testkit/processes or the engine itself, or through a module of tests; its tier follows from that.',
  )
})
