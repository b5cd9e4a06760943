import { readdirSync } from 'node:fs'
import { STAGE_NAMES } from '@aduana/contracts/stages'
import { buildFlow } from '@aduana/queue/flow'
import { describe, expect, test } from 'vitest'
import { PIPELINE } from './stages.ts'

describe('the order of the stages', () => {
  test('is the same in the catalogue, the pipeline, the numbered folders and the flow', () => {
    expect(PIPELINE.map(({ name }) => name)).toEqual(STAGE_NAMES)

    const folders = readdirSync(new URL('.', import.meta.url)).filter((name) => /^\d/.test(name))
    expect(folders.sort()).toEqual(STAGE_NAMES.map((name, index) => `${index + 1}-${name}`))

    const jobId = '00000000-0000-4000-8000-000000000000'
    const queues: string[] = []
    let node: ReturnType<typeof buildFlow> | undefined = buildFlow({
      jobId,
      attempt: 1,
      title: 'x',
      stages: STAGE_NAMES,
    })
    while (node) {
      queues.unshift(node.queueName)
      node = node.children?.[0]
    }
    expect(queues).toEqual(folders)
  })

  test('fails the parents of a stage that fails, and never removes a failed stage silently', () => {
    const flow = buildFlow({
      jobId: '00000000-0000-4000-8000-000000000000',
      attempt: 1,
      title: 'x',
      stages: STAGE_NAMES,
    })
    for (
      let node: ReturnType<typeof buildFlow> | undefined = flow.children?.[0];
      node;
      node = node.children?.[0]
    ) {
      expect(node.opts).toMatchObject({ failParentOnFailure: true })
      expect(node.opts?.removeOnFail).not.toBe(true)
    }
  })
})
