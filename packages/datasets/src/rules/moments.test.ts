import { describe, test } from 'vitest'
import { expectOutcomes } from '../testing/outcomes.ts'

describe('dates', () => {
  test('exist, stand in a declared form, and lie within the bounds', () =>
    expectOutcomes({ name: 'f', type: 'date', formats: ['YYYY-MM-DD', 'DD/MM/YYYY', 'DD-MM-YYYY'] }, [
      ['2026-01-31', '2026-01-31'],
      ['31/01/2026', '2026-01-31'],
      ['31-01-2026', '2026-01-31'],
      ['29/02/2024', '2024-02-29'],
      ['29/02/2026', ['not_a_date']],
      ['31/02/2026', ['not_a_date']],
      ['2026-02-30', ['not_a_date']],
      ['2026-13-01', ['not_a_date']],
      ['13/13/2026', ['not_a_date']],
      ['2026-1-5', ['not_a_date']],
      ['1/2/2026', ['not_a_date']],
      ['01/02/26', ['not_a_date']],
      ['2026-01-31 10:00', ['not_a_date']],
      ['20260131', ['not_a_date']],
      ['infinity', ['not_a_date']],
      ['epoch', ['not_a_date']],
      ['today', ['not_a_date']],
      ['46023', ['not_a_date']],
      ['0000-00-00', ['not_a_date']],
      ['1899-12-31', ['too_small']],
      ['2100-12-31', '2100-12-31'],
      ['01/01/2101', ['too_large']],
      ['0001-01-01', ['too_small']],
      ['9999-12-31', ['too_large']],
    ]))

  test('of every other form', () =>
    expectOutcomes({ name: 'f', type: 'date', formats: ['YYYY/MM/DD', 'DD.MM.YYYY', 'YYYYMMDD'] }, [
      ['2026/01/31', '2026-01-31'],
      ['31.01.2026', '2026-01-31'],
      ['20260131', '2026-01-31'],
      ['31x01x2026', ['not_a_date']],
      ['20261301', ['not_a_date']],
    ]))
})

describe('timestamps', () => {
  const UTC_MORNING = '2026-01-31 13:05:00+00'

  test('are instants: local times by the declared zone, others by their offset', () =>
    expectOutcomes({ name: 't', type: 'timestamp', formats: ['ISO8601', 'YYYY-MM-DD HH:MM'] }, [
      ['2026-01-31T08:05:00', UTC_MORNING],
      ['2026-01-31T08:05', UTC_MORNING],
      ['2026-01-31 08:05', UTC_MORNING],
      ['2026-01-31T13:05:00Z', UTC_MORNING],
      ['2026-01-31T08:05:00-05:00', UTC_MORNING],
      ['2026-01-31T08:05:00-0500', UTC_MORNING],
      ['2026-01-31T08:05:00-05', UTC_MORNING],
      ['2026-01-31T18:35:00+05:30', UTC_MORNING],
      ['2026-01-31T13:05:00.250Z', '2026-01-31 13:05:00.25+00'],
      ['2026-01-31T13:05:00,250Z', '2026-01-31 13:05:00.25+00'],
      ['2026-01-31T13:05Z', UTC_MORNING],
      ['2026-01-31T08:05-0500', UTC_MORNING],
      ['2026-02-31T08:05:00Z', ['not_a_timestamp']],
      ['2026-01-31T24:00:00Z', ['not_a_timestamp']],
      ['2026-01-31T08:60:00Z', ['not_a_timestamp']],
      ['2026-01-31', ['not_a_timestamp']],
      ['infinity', ['not_a_timestamp']],
      ['1899-12-31T23:59:59', ['too_small']],
      ['2100-12-31T23:59:59', '2101-01-01 04:59:59+00'],
      ['2101-01-01T00:00:00', ['too_large']],
    ]))

  test('of every other form', () =>
    expectOutcomes(
      {
        name: 't',
        type: 'timestamp',
        timeZone: 'UTC',
        formats: [
          'YYYY-MM-DD HH:MM:SS',
          'YYYY-MM-DDTHH:MM:SS',
          'YYYY/MM/DD HH:MM',
          'YYYY/MM/DD HH:MM:SS',
          'DD/MM/YYYY HH:MM',
          'DD/MM/YYYY HH:MM:SS',
        ],
      },
      [
        ['2026-01-31 13:05:00', UTC_MORNING],
        ['2026-01-31T13:05:00', UTC_MORNING],
        ['2026/01/31 13:05', UTC_MORNING],
        ['2026/01/31 13:05:00', UTC_MORNING],
        ['31/01/2026 13:05', UTC_MORNING],
        ['31/01/2026 13:05:00', UTC_MORNING],
        ['31/02/2026 13:05:00', ['not_a_timestamp']],
      ],
    ))
})
