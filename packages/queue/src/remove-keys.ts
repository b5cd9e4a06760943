import type { Logger } from '@aduana/runtime/logger'
import { createRedis } from './redis.ts'

/** Removes all keys with a prefix. Returns their number. */
export async function removeKeys(url: string, prefix: string, logger: Logger): Promise<number> {
  const redis = createRedis(url, 'worker', logger)
  let removed = 0
  try {
    for await (const keys of redis.scanStream({ match: `${prefix}*`, count: 500 }))
      if (keys.length > 0) removed += await redis.unlink(...keys)
  } finally {
    redis.disconnect()
  }
  return removed
}
