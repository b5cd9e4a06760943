import { describe, expect, test } from 'vitest'
import { outcomeOfJob } from '../exit-codes.ts'
import { JOB_ID, job } from '../testing/jobs.ts'
import { renderSummary } from './summary.ts'

const RESULT = {
  format: 'plain',
  encoding: 'windows-1252',
  delimiter: ';',
  headerLine: 1,
  columns: ['fecha', 'turno', 'cantidad'],
  ignoredColumns: [],
  absentColumns: [],
  skippedLines: 0,
  firstDay: '2026-01-01',
  lastDay: '2026-01-31',
  days: 30,
  rejectReasons: [],
}
const COUNTS = { records: 1, loaded: 1, inserted: 1, updated: 0, unchanged: 0, removed: 0 }
const ended = (given: Parameters<typeof job>[0]) =>
  job({
    status: 'COMPLETED',
    result: RESULT,
    ...given,
    counts: { ...COUNTS, quarantined: 0, duplicates: 0, ...given?.counts },
  })
const lines = (...given: Parameters<typeof renderSummary>) => renderSummary(...given).split('\n')

describe('the summary of an import', () => {
  test('shows in one line how the file was read, and only relevant figures', () => {
    const report = { seconds: 1.4, rowsPerSecond: 1, rejects: [] }
    expect(lines(ended({}), { report }, 'aduana')).toEqual([
      'mayo.csv → production: loaded',
      '',
      '  read as      windows-1252; ";" between cells; header in line 1; 3 columns used; 30 days from 2026-01-01 to 2026-01-31',
      '  records      1',
      '  loaded       1',
      '  quarantined  0',
      '  duplicates   0',
      '  time         1.4 s',
      '',
      `  job          ${JOB_ID}`,
    ])
  })

  test.each([
    [{ encodingSure: false, format: 'gzip' }, 'gzip, windows-1252 (unsure);'],
    [{ delimiter: '\t' }, 'tab between cells'],
    [{ headerLine: 7 }, 'header in line 7'],
    [{ ignoredColumns: ['A', 'B\u200b'] }, '3 columns used, ignored: "A" "B<U+200B>"'],
    [{ ignoredColumns: ['1', '2', '3', '4', '5', '6', '7'] }, 'ignored: "1" "2" "3" "4" "5" and 2 more'],
    [{ absentColumns: ['material'] }, '3 columns used, without: "material"'],
    [{ firstDay: '2026-01-01', lastDay: '2026-01-01', days: 1 }, '; day 2026-01-01'],
    [{ firstDay: null, lastDay: null, days: 0 }, 'columns used'],
  ])('describes a file that was read as %j', (change, expected) => {
    const text = renderSummary(ended({ result: { ...RESULT, ...change } }), {}, 'aduana')
    expect(text).toContain(expected)
  })

  test.each([
    [{ headerLine: 4, preamble: [1, 2, 3], skippedLines: 1 }, '4   3 lines before the header, 1 blank'],
    [{ headerLine: 3, preamble: [1], skippedLines: 1200 }, '1,202   1 line before the header, 1,201 blank'],
    [{ headerLine: 1, preamble: [], skippedLines: 2 }, '2   2 blank'],
    [{ headerLine: 2, preamble: [1], skippedLines: 0 }, '1   1 line before the header'],
  ])('counts the lines that were skipped: %j', (change, expected) => {
    const text = renderSummary(ended({ result: { ...RESULT, ...change } }), {}, 'aduana')
    expect(text).toContain(`\n  skipped      ${expected}\n`)
  })

  test('does not mention skipped lines if there are none', () => {
    const none = { ...RESULT, preamble: [] }
    expect(renderSummary(ended({ result: none }), {}, 'aduana')).not.toContain('skipped')
  })

  test('counts the cells that were cleaned', () => {
    const cleaned = [
      { column: 'order_id', count: 2 },
      { column: 'company', count: 1 },
    ]
    const text = renderSummary(ended({ result: { ...RESULT, cleaned } }), {}, 'aduana')
    expect(text).toContain('\n  cleaned      2 cells of order_id, 1 cell of company\n')
    expect(renderSummary(ended({ result: { ...RESULT, cleaned: [] } }), {}, 'aduana')).not.toContain(
      'cleaned',
    )
  })

  test('begins with the warnings, and gives the whole example of a reason', () => {
    const message = `"${'x'.repeat(90)}" is not a date`
    const rejects = [{ column: 'fecha', code: 'not_a_date', rejects: 1, example: message, line: 12 }]
    const warnings = [{ code: 'odd', message: 'It is odd.', column: null, count: 1 }]
    const artifacts = [
      { name: 'rejects.ndjson', bytes: 1, sha256: '', mediaType: 'application/x-ndjson', removedAt: null },
    ]
    const shown = lines(
      ended({ warnings, artifacts, counts: { records: 2000, quarantined: 1 } }),
      { report: { seconds: 2, rowsPerSecond: 1000, rejects } },
      'aduana',
    )
    expect(shown[0]).toBe('mayo.csv → production: loaded, with 1 record in quarantine and 1 warning')
    expect(shown[2]).toBe('  ! odd: It is odd.')
    expect(shown).toContain('  time         2.0 s, 1,000 rows/s')
    expect(shown).toContain('  Reason:')
    expect(shown).toContain(`  1 record  fecha  not_a_date (line 12): ${message}`)
    expect(shown.slice(-3)).toEqual([
      `  job          ${JOB_ID}`,
      `  rejects      aduana rejects ${JOB_ID}`,
      `               aduana download ${JOB_ID} rejects.ndjson`,
    ])
  })

  test('of a dry run counts the reasons of rejects, the most frequent first', () => {
    const rejectReasons = [
      { column: null, code: 'too_many_columns', count: 1 },
      { column: 'turno', code: 'required', count: 2 },
    ]
    const dry = ended({
      dryRun: true,
      result: { ...RESULT, rejectReasons },
      counts: { quarantined: 3 },
    })
    const text = renderSummary(dry, {}, 'aduana')
    expect(text).toContain(
      '  Reasons (a record may have several):\n  2 records  turno     required\n  1 record   (record)  too_many_columns\n',
    )
  })

  test('counts all rejects of a reason, also those that are not stored', () => {
    const rejectReasons = [{ column: 'turno', code: 'required', count: 2500 }]
    const kept = [
      {
        column: 'turno',
        code: 'required',
        rejects: 1000,
        example: 'the cell is empty; a value is required',
        line: 3,
      },
    ]
    const text = renderSummary(
      ended({ result: { ...RESULT, rejectReasons }, counts: { quarantined: 2500 } }),
      { report: { seconds: 1, rowsPerSecond: 1, rejects: kept } },
      'aduana',
    )
    expect(text).toContain(
      '  2,500 records  turno  required (line 3): the cell is empty; a value is required\n',
    )
  })

  test('of an upsert distinguishes new from changed rows', () => {
    const text = renderSummary(ended({ counts: { loaded: 3, inserted: 1, updated: 2 } }), {}, 'aduana')
    expect(text).toContain('  loaded          3\n  of them new     1\n  of them changed 2\n')
  })

  test('of a failed job has counts that add up, with the clean records that are not loaded, and how the file was read', () => {
    const error = { code: 'too_many_rejects', detail: '3 of 11 records were rejected.' }
    const counts = { records: 11, quarantined: 3, duplicates: 0, conflicts: 1 }
    const failed = job({ status: 'FAILED', error, result: RESULT, counts })
    expect(lines(failed, {}, 'aduana').slice(3, 10)).toEqual([
      expect.stringMatching(/^ {2}read as {6}windows-1252;/),
      '  records      11',
      '  loaded        0',
      '  not loaded    7   good records; the import failed',
      '  quarantined   3',
      '  duplicates    0',
      '  conflicts     1',
    ])
    const early = job({ status: 'FAILED', error, counts: { records: 12 } })
    expect(lines(early, {}, 'aduana').slice(3, 6)).toEqual([
      '  records      12',
      '  loaded        0',
      '  not loaded   12   the import failed',
    ])
    const none = job({ status: 'CANCELLED', counts: { records: 2, quarantined: 2, duplicates: 0 } })
    expect(renderSummary(none, {}, 'aduana')).not.toContain('not loaded ')
  })

  test('shows removed rows if the preview does not', () => {
    const counts = { records: 1, loaded: 1, removed: 3 }
    expect(renderSummary(ended({ counts }), {}, 'aduana')).toContain(
      '\n  removed      3   rows that these days had before the import\n',
    )
  })

  test('of a dry run whose import would be refused shows that first, and has exit code 5', () => {
    const warnings = [
      { code: 'already_imported', message: 'The import would be refused.', column: null, count: 2 },
    ]
    const dry = ended({ dryRun: true, warnings })
    expect(lines(dry, {}, 'aduana')[0]).toBe(
      'mayo.csv → production: dry run: the import would be refused (already_imported); nothing was changed. With --force, the import would do this',
    )
    expect(outcomeOfJob(dry)).toBe('alreadyImported')
    expect(outcomeOfJob({ ...dry, dryRun: false })).toBe('quarantined')
  })

  test('of a failed job shows the cause, and nothing unknown', () => {
    const error = { code: 'no_records', detail: 'There are no records.' }
    const failed = job({ status: 'FAILED', error })
    expect(lines(failed, { report: { seconds: null, rowsPerSecond: null, rejects: [] } }, 'aduana')).toEqual([
      'mayo.csv → production: failed (no_records)',
      'There are no records.',
      '',
      `  job          ${JOB_ID}`,
    ])
  })
})

test('the summary of an undo shows its result', () => {
  const result = {
    imports: [JOB_ID, JOB_ID],
    reversed: { deleted: 3000, restored: 0, rejectsReopened: 0, rejectsSuperseded: 2 },
    kept: [],
    impossible: [],
  }
  const undo = job({ type: 'undo', status: 'COMPLETED', result, parameters: { fileName: 'a', importNo: 3 } })
  expect(lines(undo, {}, 'aduana').slice(0, 6)).toEqual([
    'Undo of import #3 (a) in production: done',
    '',
    '  imports undone      2',
    '  rows deleted        3,000',
    '  rows restored       0',
    '  rejects superseded  2',
  ])
})
