import { DeclaredEncoding } from '@aduana/contracts/encodings'
import { type ImportWarning, importWarning } from '@aduana/contracts/import-warnings'
import type { ParseResult } from '@aduana/engine/protocol'

/** A warning when the encoding of a file may be another one than that it was read as; none when it is sure. */
export function encodingWarnings(
  { encoding, encodingDoubt: doubt }: Pick<ParseResult, 'encoding' | 'encodingDoubt'>,
  declared: DeclaredEncoding | null,
): ImportWarning[] {
  if (!doubt) return []
  const how = declared ? ', as declared' : ''
  const { odd, characters, sample, rival } = doubt
  const example = odd > 0 ? `${odd} of its ${characters} bytes beyond ASCII look wrong, as in` : 'it has'
  const other = rival ? `, which in ${rival.encoding} is "${rival.sample}"` : ''
  const message = `The encoding is not sure: the file was read as ${encoding}${how}, where ${example} "${sample}"${other}. ${remedy(encoding, declared)}`
  return [importWarning('encoding_unsure', message, { count: odd || characters })]
}

function remedy(encoding: string, declared: DeclaredEncoding | null): string {
  const others = DeclaredEncoding.options.filter((name) => name !== declared && name !== 'iso-8859-1')
  if (declared)
    return `If that is wrong, declare another encoding (${others.join(', ')}) or save the file as UTF-8.`
  return `Declare it with the file: encoding=${encoding} if that is right, else another (${others.filter((name) => name !== encoding).join(', ')}); or save the file as UTF-8.`
}
