import { ChildProcess } from 'node:child_process'

/* Loaded before each file of the unit tier: any start of a process fails. */

Reflect.set(ChildProcess.prototype, 'spawn', () => {
  throw new Error(
    'A unit test has started a process. A test that needs one must import node:child_process, @aduana/testkit/processes or the engine, directly or through test support: its tier depends on that.',
  )
})
