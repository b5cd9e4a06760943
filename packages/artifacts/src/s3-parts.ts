const MIB = 1024 * 1024
/** S3 allows at most 10,000 parts. This minimum is above that of S3. */
const MIN_PART_BYTES = 8 * MIB
const MAX_PARTS = 10_000
const STEP = 1000
const MAX_BYTES_IN_FLIGHT = 64 * MIB
const MAX_PARTS_IN_FLIGHT = 4

/**
 * Returns the size of a part in bytes. Parts are counted from 0. With a known file length all parts are equal, as some
 * services require. Otherwise the size starts at 8 MiB and doubles every 1000 parts, which allows 8 TiB in total.
 */
export function partSize(part: number, length?: number): number {
  if (length === undefined) return MIN_PART_BYTES * 2 ** Math.floor(part / STEP)
  return Math.max(MIN_PART_BYTES, Math.ceil(length / MAX_PARTS / MIB) * MIB)
}

/** Returns the number of concurrent parts of a size, so that memory is bounded. */
export function partsInFlight(size: number): number {
  return Math.max(1, Math.min(MAX_PARTS_IN_FLIGHT, Math.floor(MAX_BYTES_IN_FLIGHT / size)))
}

/** Splits a stream into parts. All but the last are full; there is at least one, which may be empty. */
export async function* splitIntoParts(
  source: AsyncIterable<Uint8Array>,
  sizeOf: (part: number) => number,
): AsyncGenerator<Buffer, void> {
  let chunks: Uint8Array[] = []
  let filled = 0
  let part = 0
  for await (const chunk of source) {
    let rest = chunk
    while (filled + rest.length > sizeOf(part)) {
      const fits = sizeOf(part) - filled
      chunks.push(rest.subarray(0, fits))
      yield Buffer.concat(chunks)
      rest = rest.subarray(fits)
      chunks = []
      filled = 0
      part += 1
    }
    if (rest.length > 0) chunks.push(rest)
    filled += rest.length
  }
  if (filled > 0 || part === 0) yield Buffer.concat(chunks)
}
