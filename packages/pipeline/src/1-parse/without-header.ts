import { RefusedError } from '../refused.ts'

const NEWLINE = 0x0a

/**
 * Returns a stream transform that removes the first line of a file, which must equal `header`, so that the rest can be
 * appended to another file. Without `header` it removes nothing. Its output always ends with a line break.
 */
export function withoutHeader({
  header,
  url,
}: {
  header: string | undefined
  url: string
}): (source: AsyncIterable<Buffer>) => AsyncGenerator<Buffer> {
  return async function* rows(source) {
    let begun: Buffer | undefined = header === undefined ? undefined : Buffer.alloc(0)
    let last = NEWLINE
    for await (const chunk of source) {
      const piece: Buffer = begun === undefined ? chunk : Buffer.concat([begun, chunk])
      const end: number = begun === undefined ? -1 : piece.indexOf(NEWLINE)
      if (begun !== undefined && end < 0) {
        begun = piece
        continue
      }
      if (begun !== undefined) assertSameFile(piece.subarray(0, end).toString('utf8'), header ?? '', url)
      begun = undefined
      const rest = piece.subarray(end + 1)
      if (rest.length === 0) continue
      last = rest.at(-1) ?? last
      yield rest
    }
    if (begun !== undefined && begun.length > 0) assertSameFile(begun.toString('utf8'), header ?? '', url)
    if (last !== NEWLINE) yield Buffer.from('\n')
  }
}

function assertSameFile(found: string, header: string, url: string): void {
  if (plain(found) === plain(header)) return
  throw new RefusedError({
    code: 'manifest_invalid',
    detail: `${url} has the header "${plain(found).slice(0, 200)}", but the first file has "${plain(header).slice(0, 200)}". Nothing was changed. Write all files of the manifest with the same header and complete a new attempt of the run.`,
  })
}

function plain(line: string): string {
  return line.replace(/^\uFEFF/, '').replace(/\r$/, '')
}
