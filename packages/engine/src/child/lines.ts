import { readUnpacked } from '../packed-file.ts'

/** A cursor over a sorted file of JSON lines; `current` is null after the last line. */
export interface LineCursor<T> {
  current: T | null
  /** Moves to the next line. Returns a promise only if more of the file must be read. */
  advance(): void | Promise<void>
  /** Closes the file, also before its end. */
  close(): Promise<void>
}

/**
 * Opens a cursor on the first line. Lines end only with LF (Node's readline also splits at U+2028, which may appear
 * unescaped in JSON). The file may be compressed by gzip.
 */
export async function openLines<T>(
  path: string | null,
  parse: (value: unknown) => T,
): Promise<LineCursor<T>> {
  const batches = path === null ? null : readBatches(path)
  let lines: string[] = []
  let at = 0
  const take = () => {
    const line = lines[at++]
    cursor.current = line === undefined ? null : parse(JSON.parse(line))
  }
  const refill = async () => {
    const next = await batches?.next()
    lines = next?.value ?? []
    at = 0
    take()
  }
  const cursor: LineCursor<T> = {
    current: null,
    advance: () => (at < lines.length ? take() : refill()),
    close: async () => {
      await batches?.return()
    },
  }
  try {
    await refill()
    return cursor
  } catch (error) {
    await cursor.close()
    throw error
  }
}

async function* readBatches(path: string): AsyncGenerator<string[], void, void> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of readUnpacked(path, 1 << 20)) {
    const bytes = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk
    const end = bytes.lastIndexOf(0x0a) + 1
    rest = bytes.subarray(end)
    if (end > 0)
      yield bytes
        .subarray(0, end - 1)
        .toString()
        .split('\n')
  }
  if (rest.length > 0) yield [rest.toString()]
}
