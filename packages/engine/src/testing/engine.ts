import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Engine, startEngine } from '../engine.ts'
import type { Row } from '../protocol.ts'

/** An engine with little memory, and a folder for its input and output. */
export interface TestEngine {
  engine: Engine
  root: string
  /** Creates a new folder for the files of one test. */
  addJob(): Promise<string>
  /** Returns the rows of a statement over the files of a job. */
  rows(job: string, sql: string, params?: string[]): Promise<Row[] | undefined>
  close(): Promise<void>
}

/** Starts a test engine. */
export async function openTestEngine(): Promise<TestEngine> {
  const root = await mkdtemp(join(tmpdir(), 'aduana-engine-'))
  const engine = await startEngine({ memoryLimitMb: 128, threads: 2, maxTempMb: 64 })
  let jobs = 0
  return {
    engine,
    root,
    addJob: async () => {
      jobs += 1
      const job = join(root, `job-${jobs}`)
      await mkdir(job)
      return job
    },
    rows: async (workDir, sql, params = []) => {
      const { q } = await engine.query({ workDir, statements: [{ name: 'q', sql, params, as: 'rows' }] })
      return q?.rows
    },
    close: async () => {
      await engine.close()
      await rm(root, { recursive: true, force: true })
    },
  }
}
