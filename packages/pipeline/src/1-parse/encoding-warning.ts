import type { LoadMode } from '@aduana/contracts/dataset-definition'
import { DeclaredEncoding } from '@aduana/contracts/encodings'
import { counted, figure } from '@aduana/contracts/figures'
import { type ImportWarning, importWarning } from '@aduana/contracts/import-warnings'
import { asFields, sendAgain } from '@aduana/contracts/send-again'
import type { ParseResult } from '@aduana/engine/protocol'

type Found = Pick<ParseResult, 'encoding' | 'encodingDoubt'>
type Doubt = NonNullable<ParseResult['encodingDoubt']>

/** Returns a warning if the file may be in another encoding than the one it was read in. */
export function encodingWarnings(
  { encoding, encodingDoubt: doubt }: Found,
  declared: DeclaredEncoding | null,
  mode: LoadMode,
): ImportWarning[] {
  if (!doubt) return []
  const { odd, characters, rival } = doubt
  const about = doubt.invalid ? notAllUtf8(doubt, doubt.invalid) : uncertain(encoding, declared, doubt)
  const remedy = doubt.invalid
    ? `Save the file as UTF-8. If the whole file is in another encoding, ${again(mode, rival?.encoding)}.`
    : declared
      ? `If that is wrong, ${again(mode, rival?.encoding)}, or save it as UTF-8.`
      : `If ${encoding} is right, declare it for such files: ${asFields({ encoding })}. If not, ${again(mode, rival?.encoding)}, or save it as UTF-8.`
  return [
    importWarning('encoding_unsure', `${about} ${remedy}${others([encoding, rival?.encoding])}`, {
      count: odd || characters,
    }),
  ]
}

function uncertain(
  encoding: string,
  declared: DeclaredEncoding | null,
  { odd, characters, sample, rival }: Doubt,
): string {
  const how = declared ? ' (declared)' : ''
  const example =
    odd > 0
      ? `In this encoding, ${figure(odd)} of ${counted(characters, 'byte')} beyond ASCII ${odd === 1 ? 'looks' : 'look'} wrong, for example "${sample}"`
      : `In this encoding, the file contains "${sample}"`
  const other = rival ? `; in ${rival.encoding}, the same text is "${rival.sample}"` : ''
  return `The encoding is uncertain. The file was read as ${encoding}${how}. ${example}${other}.`
}

/** Describes a file that is UTF-8 in most places, with its first invalid bytes. */
function notAllUtf8({ odd, sample, rival }: Doubt, { line }: NonNullable<Doubt['invalid']>): string {
  const other = rival ? `; in ${rival.encoding} "${rival.sample}"` : ''
  return `The file is UTF-8 except for ${counted(odd, 'byte')}. The first is in line ${line} ("${sample}"${other}). Records with such bytes are rejects (invalid_utf8).`
}

function again(mode: LoadMode, encoding = 'windows-1252'): string {
  return sendAgain(mode, { encoding })
}

/** Lists the encodings that can be declared, except those already named. */
function others(named: readonly (string | undefined)[]): string {
  const left = DeclaredEncoding.options.filter((name) => !named.includes(name) && name !== 'iso-8859-1')
  return ` Other encodings: ${left.join(', ')}.`
}
