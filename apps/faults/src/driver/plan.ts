import { createRandom, type Random } from '@aduana/testkit/random'
import { type PlannedImport, planImport } from './files.ts'

const FAULTS = ['kill', 'stop', 'term', 'term-all', 'wipe', 'terminate', 'cancel', 'storm', 'retry'] as const
export type FaultKind = (typeof FAULTS)[number]

/** A fault and its time, in milliseconds after the fault before it. */
export interface PlannedFault {
  kind: FaultKind
  after: number
  /** Which worker, job or share of connections it affects, from 0 to 1. */
  where: number
  /** Its duration in milliseconds, if it has one. */
  length: number
}

export interface Plan {
  seed: number
  workers: number
  /** Milliseconds between two imports. */
  pace: number
  imports: readonly PlannedImport[]
  /** Repeated from the start as long as imports arrive. */
  faults: readonly PlannedFault[]
}

/** Returns the plan of a seed: files, and the faults during their imports. Equal seeds give equal plans. */
export function makePlan(seed: number, size: { imports: number; workers?: number; pace?: number }): Plan {
  const random = createRandom(seed)
  return {
    seed,
    workers: size.workers ?? random.int(2, 3),
    pace: size.pace ?? random.int(50, 250),
    imports: Array.from({ length: size.imports }, (_, index) => planImport(random, index)),
    faults: Array.from({ length: 200 }, () => planFault(random)),
  }
}

function planFault(random: Random): PlannedFault {
  const kind = random.pick<FaultKind>([
    'kill',
    'kill',
    'kill',
    'stop',
    'stop',
    'term',
    'term-all',
    'wipe',
    'terminate',
    'terminate',
    'cancel',
    'cancel',
    'storm',
    'retry',
  ])
  return { kind, after: random.int(100, 1500), where: random.next(), length: random.int(200, 20_000) }
}
