import { open } from 'node:fs/promises'
import { createSample, type SampleOptions, type SampleReport } from './sample.ts'

const CHUNK_CHARS = 1 << 20

/**
 * Writes a sample to a file, which is replaced, and returns its report and size. Only one chunk is in memory at a time.
 * @throws the reason of `signal`, between two chunks
 */
export async function writeSample(
  path: string,
  options: SampleOptions,
  signal?: AbortSignal,
): Promise<SampleReport & { bytes: number }> {
  const sample = createSample(options)
  const file = await open(path, 'w')
  let bytes = 0
  try {
    let chunk = sample.header
    const flush = async () => {
      signal?.throwIfAborted()
      const data = Buffer.from(chunk)
      await file.writeFile(data)
      bytes += data.length
      chunk = ''
    }
    for (let made = 0; made < options.rows; made++) {
      chunk += sample.next()
      if (chunk.length >= CHUNK_CHARS) await flush()
    }
    await flush()
  } finally {
    await file.close()
  }
  return { ...sample.report(), bytes }
}
