import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Engine, startEngine } from '@aduana/engine/engine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Found, inspectSample } from '../testing/inspect-sample.ts'
import {
  createSample,
  periodOfSeed,
  SAMPLES,
  type SampleName,
  type SampleOptions,
  twoMonths,
} from './sample.ts'
import { writeSample } from './write.ts'

const NAMES = Object.keys(SAMPLES) as SampleName[]

function options(given: Partial<SampleOptions>): SampleOptions {
  const seed = given.seed ?? 1
  return { dataset: 'production', rows: 1000, seed, clean: false, ...periodOfSeed(seed), ...given }
}

function textOf(given: SampleOptions): string {
  const sample = createSample(given)
  return sample.header + Array.from({ length: given.rows }, () => sample.next()).join('')
}

/** Reasons in an order of their own, so that equal counts compare. */
function sorted(reasons: Found['reasons']): string[] {
  return reasons.map(({ column, code, rejects }) => `${column} ${code} ${rejects}`).sort()
}

describe('a sample', () => {
  test.each(NAMES)('of %s is the same bytes for the same seed, and others for another', (dataset) => {
    expect(textOf(options({ dataset }))).toBe(textOf(options({ dataset })))
    expect(textOf(options({ dataset, seed: 2 }))).not.toBe(textOf(options({ dataset, ...periodOfSeed(1) })))
  })

  test('keeps its bytes from version to version', () => {
    const digest = createHash('sha256')
      .update(textOf(options({ rows: 5000 })))
      .digest('hex')
    expect(digest).toBe('a4f60caead55192eac36cca2a836951468a9e1b19c55b81837bd6acf352ac342')
  })

  test('accounts for each of its records', () => {
    const sample = createSample(options({ rows: 20_000 }))
    for (let i = 0; i < 20_000; i++) sample.next()
    const { records, good, rejected, duplicates, conflicts, kinds } = sample.report()
    expect(records).toBe(20_000)
    expect(good + rejected + duplicates + conflicts).toBe(records)
    expect(Object.values(kinds).reduce((sum, count) => sum + count, 0)).toBe(rejected)
    expect(rejected / records).toBeGreaterThan(0.01)
    expect(rejected / records).toBeLessThan(0.02)
  })

  test('contains every kind of error of its dataset', () => {
    const sample = createSample(options({ rows: 20_000 }))
    for (let i = 0; i < 20_000; i++) sample.next()
    expect(Object.keys(sample.report().kinds).sort()).toEqual(
      SAMPLES.production.defects.map(({ kind }) => kind).sort(),
    )
  })

  test('is written to disk while it is generated', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'aduana-write-'))
    try {
      const path = join(folder, 'sample.csv')
      const { bytes } = await writeSample(path, options({ rows: 30_000 }))
      const written = await readFile(path, 'utf8')
      expect(written === textOf(options({ rows: 30_000 }))).toBe(true)
      expect(bytes).toBe(Buffer.byteLength(written))
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  test('covers two whole months', () => {
    expect(periodOfSeed(0)).toEqual({ from: '2023-01-01', to: '2023-03-01' })
    expect(twoMonths(2026, -1)).toEqual({ from: '2025-12-01', to: '2026-02-01' })
  })
})

describe('the real parser and rules find exactly the generated errors of a sample', () => {
  let engine: Engine
  beforeAll(async () => {
    engine = await startEngine({ memoryLimitMb: 256, threads: 1 })
  })
  afterAll(async () => {
    await engine.close()
  })

  test.each(NAMES)('%s', async (dataset) => {
    const { made, found } = await inspectSample(engine, options({ dataset, rows: 30_000, seed: 42 }))
    const { records, good, rejected, duplicates, conflicts } = made
    expect(found).toMatchObject({ records, good, rejected, duplicates, conflicts })
    expect(sorted(found.reasons)).toEqual(sorted(made.reasons))
  })

  test.each(NAMES)('%s, clean', async (dataset) => {
    const { made, found } = await inspectSample(engine, options({ dataset, rows: 30_000, clean: true }))
    expect(made).toMatchObject({ records: 30_000, good: 30_000, rejected: 0, duplicates: 0, conflicts: 0 })
    expect(found).toMatchObject({ records: 30_000, good: 30_000, rejected: 0, duplicates: 0, conflicts: 0 })
  })

  test.each([1, 2, 3, 60])('production of %d records', async (rows) => {
    const { made, found } = await inspectSample(engine, options({ rows, seed: 9 }))
    const { records, good, rejected, duplicates, conflicts } = made
    expect(found).toMatchObject({ records, good, rejected, duplicates, conflicts })
  })
})
