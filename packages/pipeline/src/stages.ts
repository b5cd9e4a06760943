import type { StageName } from '@aduana/contracts/stages'
import type { StageHandlers } from '@aduana/queue/stage-workers'
import { parse } from './1-parse/stage.ts'
import { validate } from './2-validate/stage.ts'
import { quarantine } from './3-quarantine/stage.ts'
import { load } from './4-load/stage.ts'
import { fanOut } from './5-fan-out/stage.ts'
import type { PipelineContext, Stage } from './stage.ts'
import { executeStage } from './stage-attempt.ts'

/** The stages in pipeline order. */
export const PIPELINE: readonly Stage[] = [parse, validate, quarantine, load, fanOut]

/** Returns the handlers of the five stage queues. */
export function stageHandlers(context: PipelineContext): StageHandlers {
  const handler = (stage: Stage): StageHandlers[StageName] => {
    return (payload, delivery) => executeStage(context, stage, payload, delivery)
  }
  return {
    parse: handler(parse),
    validate: handler(validate),
    quarantine: handler(quarantine),
    load: handler(load),
    'fan-out': handler(fanOut),
  }
}
