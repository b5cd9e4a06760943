import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { viewOf } from '../follow/view.ts'
import type { Io } from '../io.ts'
import { job } from '../testing/jobs.ts'
import { createDisplay } from './display.ts'
import { formatBytes, formatLeft, formatSeconds } from './figures.ts'
import {
  ASCII,
  BLOCKS,
  jobFacts,
  type ProgressFacts,
  renderBar,
  renderPlain,
  uploadFacts,
} from './progress.ts'
import { renderTable } from './table.ts'

const loading = viewOf(
  job({
    status: 'PROCESSING',
    stage: 'load',
    progress: 58.7,
    totalItems: 120_000,
    processedItems: 60_123,
    rowsPerSecond: 312_456,
    etaSeconds: 3,
  }),
)

describe('a progress line', () => {
  test('shows the stage, the progress, the records, the speed and the remaining time', () => {
    expect(jobFacts(loading)).toEqual({
      label: '4/5 Load',
      percent: 58.7,
      figures: ['60,123/120,000 records', '312,456 rows/s', '3 s left'],
    })
  })

  test('fits the width of the terminal', () => {
    expect(renderBar(jobFacts(loading), 110, BLOCKS)).toBe(
      '4/5 Load        ██████████████████░░░░░░░░░░░░  58 %  60,123/120,000 records  312,456 rows/s  3 s left',
    )
    expect(renderBar(jobFacts(loading), 70, ASCII)).toBe(
      '4/5 Load        ##############.........  58 %  60,123/120,000 records',
    )
  })

  test.each([200, 100, 80, 60, 40, 30, 20, 5])('never fills a terminal of %d columns', (columns) => {
    expect(renderBar(jobFacts(loading), columns, BLOCKS).length).toBeLessThan(columns)
  })

  test('is plain text in a log', () => {
    expect(renderPlain(jobFacts(loading))).toBe(
      '4/5 Load: 58 %, 60,123/120,000 records, 312,456 rows/s, 3 s left',
    )
  })

  test('shows what a job waits for', () => {
    const waiting = job({
      status: 'PROCESSING',
      stage: 'load',
      waitingFor: 'window',
      message: 'Waiting for the window',
    })
    expect(renderPlain(jobFacts(viewOf(waiting)))).toBe('Waiting: Waiting for the window')
    expect(renderPlain(jobFacts(viewOf(job())))).toBe('Queued: Waiting to be processed')
  })

  test('shows the end of a job', () => {
    const done = job({
      status: 'COMPLETED',
      stage: 'fan-out',
      progress: 100,
      counts: { records: 10 },
    })
    expect(jobFacts(viewOf(done))).toEqual({ label: 'Done', percent: 100, figures: ['10 records'] })
    const one = job({ status: 'COMPLETED', counts: { records: 1 } })
    expect(renderPlain(jobFacts(viewOf(one)))).toBe('Done: 100 %, 1 record')
    expect(jobFacts(viewOf(job({ status: 'FAILED', stage: 'load', progress: 40 }))).label).toBe('Failed')
  })

  test('shows an upload in bytes', () => {
    expect(renderPlain(uploadFacts({ sent: 50_000_000, bytes: 200_000_000 }, 2))).toBe(
      'Upload: 25 %, 50.0 MB of 200 MB, 25.0 MB/s',
    )
    expect(uploadFacts({ sent: 0, bytes: 0 }, 0).percent).toBe(100)
  })
})

describe('a display', () => {
  const facts = (percent: number): ProgressFacts => ({ label: 'Upload', percent, figures: [] })
  const record = (columns: number | undefined) => {
    const written: string[] = []
    let clock = 0
    const io: Io = {
      program: 'aduana',
      env: { LANG: 'C.UTF-8' },
      out: () => undefined,
      output: () => new PassThrough(),
      input: () => new PassThrough(),
      err: (text) => written.push(text),
      columns: () => columns,
      signal: new AbortController().signal,
    }
    const display = createDisplay(io, () => clock)
    return { written, display, at: (ms: number) => (clock = ms) }
  }

  test('writes at most one line in two seconds without a terminal', () => {
    const { written, display, at } = record(undefined)
    for (let ms = 0; ms < 6000; ms += 100) {
      at(ms)
      display.show(facts(ms / 100))
    }
    display.end()
    expect(written).toEqual(['Upload: 0 %\n', 'Upload: 20 %\n', 'Upload: 40 %\n'])
  })

  test('redraws one line on a terminal, and ends with its last state', () => {
    const { written, display, at } = record(60)
    display.show(facts(1))
    at(10)
    display.show(facts(100))
    display.end()
    expect(written).toHaveLength(3)
    expect(written.every((text) => text === '\n' || text.startsWith('\r'))).toBe(true)
    expect(written[1]).toContain('100 %')
    expect(written[2]).toBe('\n')
  })
})

describe('figures', () => {
  test('are short', () => {
    expect([0, 999, 1000, 8_550_000, 196_000_000].map(formatBytes)).toEqual([
      '0 B',
      '999 B',
      '1.0 kB',
      '8.6 MB',
      '196 MB',
    ])
    expect([0.44, 12.4, 185, 7800].map(formatSeconds)).toEqual(['0.4 s', '12 s', '3 min 05 s', '2 h 10 min'])
    expect([1, 9, 75].map(formatLeft)).toEqual(['1 s left', '9 s left', '1 min 15 s left'])
  })

  test('are aligned in columns, and text from a file cannot move the cursor', () => {
    const table = renderTable(
      [{ title: 'n', right: true }, { title: 'text' }],
      [
        ['1', 'año'],
        ['120', 'a\u001b[2Jb\nc\0'],
      ],
    )
    expect(table).toBe('  n  text\n  1  año\n120  a<U+001B>[2Jb⏎c<U+0000>')
  })
})
