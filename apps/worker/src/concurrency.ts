import { STAGES, StageName } from '@aduana/contracts/stages'
import { SettingsError, type WorkerSettings } from '@aduana/runtime/config'

/**
 * Returns how many jobs of each stage this worker processes at once, for the stages that it serves. Numbers that the
 * settings do not give are those of `STAGES`.
 * @throws SettingsError on an unknown stage or an invalid number
 */
export function stageConcurrency(
  settings: Pick<WorkerSettings, 'ADUANA_STAGES' | 'ADUANA_STAGE_CONCURRENCY'>,
): Partial<Record<StageName, number>> {
  const served = new Set(
    settings.ADUANA_STAGES === undefined
      ? STAGES.map(({ name }) => name)
      : parts(settings.ADUANA_STAGES).map((text) => stageNamed(text, 'ADUANA_STAGES')),
  )
  const numbers = new Map(
    parts(settings.ADUANA_STAGE_CONCURRENCY).map((part) => {
      const [name = '', number = ''] = part.split('=')
      const value = Number(number)
      if (!Number.isInteger(value) || value < 1 || value > 100)
        throw new SettingsError([
          `ADUANA_STAGE_CONCURRENCY: "${part}" must have the form stage=number, with a number from 1 to 100`,
        ])
      return [stageNamed(name, 'ADUANA_STAGE_CONCURRENCY'), value]
    }),
  )
  return Object.fromEntries(
    STAGES.filter(({ name }) => served.has(name)).map(({ name, concurrency }) => [
      name,
      numbers.get(name) ?? concurrency,
    ]),
  )
}

function parts(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean)
}

function stageNamed(text: string, setting: string): StageName {
  const result = StageName.safeParse(text)
  if (result.success) return result.data
  throw new SettingsError([
    `${setting}: "${text}" is not a stage; the stages are ${StageName.options.join(', ')}`,
  ])
}
