import { expect, test } from 'vitest'
import { asFields, sendAgain } from './send-again.ts'

test('fields are named for the API, and as options of the command line', () => {
  expect(asFields({ from: '2026-01-01', to: '2026-01-08' })).toBe(
    'from=2026-01-01 to=2026-01-08 (--from 2026-01-01 --to 2026-01-08)',
  )
  expect(asFields({ onConflict: 'wait' })).toBe('onConflict=wait (--on-conflict wait)')
  expect(asFields({ expectedRecords: '4' })).toBe('expectedRecords=4 (--expect-records 4)')
  expect(asFields({ force: 'true' })).toBe('force=true (--force)')
})

test.each(['replace-window', 'upsert'] as const)(
  'the advice to send a file again names force for %s',
  (mode) => {
    expect(sendAgain(mode, { encoding: 'ibm850' })).toBe(
      'send the file again with encoding=ibm850 force=true (--encoding ibm850 --force)',
    )
  },
)

test('an append is undone before its file is sent again, because force would add its rows twice', () => {
  expect(sendAgain('append', { encoding: 'ibm850' })).toBe(
    'undo the import if it is loaded, or cancel it if it is waiting, and send the file again with encoding=ibm850 (--encoding ibm850)',
  )
})
