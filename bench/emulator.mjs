// SNS and SQS for measurements: an emulator in a process of its own, not in the one that measures.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { createTestMessaging } from '../packages/testkit/dist/messaging.js'

const require = createRequire(new URL('../packages/messaging/package.json', import.meta.url))
export const { PublishBatchCommand } = require('@aws-sdk/client-sns')
export const { SendMessageBatchCommand } = require('@aws-sdk/client-sqs')

/** Start an emulator with topics and queues; answers them, and the settings with which programs use them. */
export async function startMessaging(own) {
  const child = fork(new URL('emulator-process.mjs', import.meta.url))
  const ended = once(child, 'exit')
  const begun = Promise.race([
    once(child, 'message'),
    ended.then(() => {
      throw new Error('the emulator has ended')
    }),
  ])
  const [{ endpoint, environment }] = await own('the emulator', begun, () => {
    if (child.connected) child.disconnect()
    return ended
  })
  const messaging = await own('SNS and SQS', createTestMessaging({ endpoint }), ({ close }) => close())
  return { messaging, settings: { ...environment, ...messaging.environment } }
}

/** Send items in batches of ten, the most that SNS and SQS take, so many at once. */
export async function sendInBatches(items, atOnce, send) {
  const batches = Array.from({ length: Math.ceil(items.length / 10) }, (_, n) =>
    items.slice(n * 10, n * 10 + 10),
  )
  const sender = async () => {
    for (let batch = batches.shift(); batch; batch = batches.shift()) await send(batch)
  }
  await Promise.all(Array.from({ length: atOnce }, sender))
}
