import { SettingsError } from '@aduana/runtime/config'
import { describe, expect, test } from 'vitest'
import { stageConcurrency } from './concurrency.ts'

const served = (ADUANA_STAGES?: string, ADUANA_STAGE_CONCURRENCY = '') =>
  stageConcurrency({ ADUANA_STAGES, ADUANA_STAGE_CONCURRENCY })

describe('a worker serves', () => {
  test('every stage unless it is told which, each with its usual number of jobs at once', () => {
    expect(served()).toEqual({ parse: 2, validate: 2, quarantine: 2, load: 2, 'fan-out': 4 })
    expect(served('parse, load', 'load=7')).toEqual({ parse: 2, load: 7 })
  })

  test.each([
    ['a stage that does not exist', 'parse,wash', undefined],
    ['a concurrency of a stage that does not exist', undefined, 'wash=2'],
    ['a concurrency that is no number', undefined, 'load=many'],
  ])('nothing when its settings name %s', (_what, stages, concurrency) => {
    expect(() => served(stages, concurrency)).toThrow(SettingsError)
  })
})
