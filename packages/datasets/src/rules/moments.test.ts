import { describe, test } from 'vitest'
import { expectOutcomes } from '../testing/outcomes.ts'

describe('dates', () => {
  test('exist, are in a declared format, and are within the bounds', () =>
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

  test('of every other format are rejected', () =>
    expectOutcomes({ name: 'f', type: 'date', formats: ['YYYY/MM/DD', 'DD.MM.YYYY', 'YYYYMMDD'] }, [
      ['2026/01/31', '2026-01-31'],
      ['31.01.2026', '2026-01-31'],
      ['20260131', '2026-01-31'],
      ['31x01x2026', ['not_a_date']],
      ['20261301', ['not_a_date']],
    ]))
})

describe('dates with several formats', () => {
  test('have one digit or two if the format has one letter', () =>
    expectOutcomes({ name: 'f', type: 'date', formats: ['D/M/YYYY', 'D-M-YYYY', 'D.M.YYYY'] }, [
      ['5/3/2024', '2024-03-05'],
      ['05/3/2024', '2024-03-05'],
      ['31/12/2024', '2024-12-31'],
      ['31-1-2024', '2024-01-31'],
      ['5.3.2024', '2024-03-05'],
      ['31/2/2024', ['not_a_date']],
      ['005/3/2024', ['not_a_date']],
      ['5/3/24', ['not_a_date']],
      ['5/3/2024 00:00', ['not_a_date']],
      ['3/13/2024', ['not_a_date']],
    ]))

  test('can have a time of midnight if that is allowed', () =>
    expectOutcomes({ name: 'f', type: 'date', formats: ['YYYY-MM-DD', 'D/M/YYYY'], midnight: true }, [
      ['2024-03-15', '2024-03-15'],
      ['2024-03-15 00:00:00', '2024-03-15'],
      ['2024-03-15 00:00:00.000', '2024-03-15'],
      ['2024-03-15T00:00:00', '2024-03-15'],
      ['2024-03-15 00:00:00.0000000', '2024-03-15'],
      ['15/03/2024 0:00', '2024-03-15'],
      ['15/3/2024 0:00:00', '2024-03-15'],
      ['2024-02-30 00:00', ['not_a_date']],
      ['2024-03-15 00:00:01', ['not_a_date']],
      ['2024-03-15 00:00:00.001', ['not_a_date']],
      ['2024-03-15 10:00', ['not_a_date']],
      ['2024-03-15 00:00:00+00', ['not_a_date']],
      ['2024-03-15  00:00', ['not_a_date']],
      ['2024-03-15 ', '2024-03-15'],
    ]))

  test('complete two-digit years by the pivot', () =>
    expectOutcomes({ name: 'f', type: 'date', formats: ['DD/MM/YY', 'D-M-YY'], twoDigitYearPivot: 50 }, [
      ['13/03/24', '2024-03-13'],
      ['13/03/49', '2049-03-13'],
      ['13/03/50', '1950-03-13'],
      ['13/03/99', '1999-03-13'],
      ['29/02/00', '2000-02-29'],
      ['29/02/01', ['not_a_date']],
      ['13-3-24', '2024-03-13'],
      ['13/03/2024', ['not_a_date']],
    ]))

  test('have the month first only with such a format', () =>
    expectOutcomes({ name: 'f', type: 'date', formats: ['MM/DD/YYYY', 'M-D-YYYY'] }, [
      ['03/13/2024', '2024-03-13'],
      ['3-13-2024', '2024-03-13'],
      ['13/03/2024', ['not_a_date']],
    ]))
})

describe('timestamps', () => {
  const UTC_MORNING = '2026-01-31 13:05:00+00'

  test('are instants: local times in the declared zone, others with their offset', () =>
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
      ['2026-01-31 13:05:00+00', UTC_MORNING],
      ['2026-01-31 08:05:00-05:00', UTC_MORNING],
      ['2026-01-31 08:05:00 -05:00', UTC_MORNING],
      ['2026-01-31 08:05-05', UTC_MORNING],
      ['2026-01-31 13:05:00 UTC', UTC_MORNING],
      ['2026-01-31 13:05:00Z', UTC_MORNING],
      ['2026-01-31 08:05:00.000', UTC_MORNING],
      ['2026-01-31 08:05:00.123456-05', '2026-01-31 13:05:00.123456+00'],
      ['2026-01-31 08:05:00.1234560 -05:00', '2026-01-31 13:05:00.123456+00'],
      ['2026-01-31T08:05:00.123456000', '2026-01-31 13:05:00.123456+00'],
      ['2026-01-31 08:05:00.1234567', ['not_a_timestamp']],
      ['2026-01-31  08:05:00', ['not_a_timestamp']],
      ['2026-01-31 08:05:00 CET', ['not_a_timestamp']],
      ['2026-02-31T08:05:00Z', ['not_a_timestamp']],
      ['2026-01-31T24:00:00Z', ['not_a_timestamp']],
      ['2026-01-31T08:60:00Z', ['not_a_timestamp']],
      ['2026-01-31', ['not_a_timestamp']],
      ['infinity', ['not_a_timestamp']],
      ['1899-12-31T23:59:59', ['too_small']],
      ['2100-12-31T23:59:59', '2101-01-01 04:59:59+00'],
      ['2101-01-01T00:00:00', ['too_large']],
    ]))

  test('of every other format are rejected', () =>
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
          'D-M-YYYY H:MM',
          'D.M.YYYY H:MM:SS',
          'D/M/YY H:MM',
        ],
        twoDigitYearPivot: 70,
      },
      [
        ['2026-01-31 13:05:00', UTC_MORNING],
        ['2026-01-31T13:05:00', UTC_MORNING],
        ['2026/01/31 13:05', UTC_MORNING],
        ['2026/01/31 13:05:00', UTC_MORNING],
        ['31/01/2026 13:05', UTC_MORNING],
        ['31/01/2026 13:05:00', UTC_MORNING],
        ['31/02/2026 13:05:00', ['not_a_timestamp']],
        ['31-1-2026 13:05', UTC_MORNING],
        ['31.01.2026 13:05:00', UTC_MORNING],
        ['31/1/26 13:05', UTC_MORNING],
        ['31-1-2026 9:05', '2026-01-31 09:05:00+00'],
        ['31-1-2026 24:05', ['not_a_timestamp']],
        ['31/1/2026 9:05', ['not_a_timestamp']],
      ],
    ))
})
