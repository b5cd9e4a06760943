import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEngine } from '@aduana/engine/engine'
import { createProgressPublisher } from '@aduana/queue/progress-channel'
import { createLogger } from '@aduana/runtime/logger'
import type { Installation } from '@aduana/testkit/installation'
import type { PipelineContext } from '../stage.ts'

/** Opens what the stages of an installation need, with two engines as a worker has them. `close` releases it. */
export async function openContext(
  system: Installation,
): Promise<{ context: PipelineContext; close(): Promise<void> }> {
  const { database, store, redis } = system
  const logger = createLogger({ name: 'test', level: 'silent', pretty: false })
  const workFolder = await mkdtemp(join(tmpdir(), 'aduana-pipeline-'))
  const engine = { memoryLimitMb: 256, threads: 1, logger }
  const [small, large] = await Promise.all([
    startEngine({ ...engine, name: 'small' }),
    startEngine({ ...engine, name: 'large', onDemand: true }),
  ])
  const publisher = createProgressPublisher({ redisUrl: redis.url, prefix: redis.prefix, logger })
  const context: PipelineContext = {
    ...{ db: database.db, pool: database.pool, store, engines: { small, large }, publisher, logger },
    ...{ outside: undefined, workFolder, worker: 'test.1', maxUnpackedBytes: 1_000_000_000 },
  }
  return {
    context,
    close: async () => {
      publisher.close()
      await Promise.all([small.close(), large.close()])
      await rm(workFolder, { recursive: true, force: true })
    },
  }
}
