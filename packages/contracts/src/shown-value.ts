import { counted } from './figures.ts'

const MAX_SHOWN_CHARACTERS = 60
const SECRET = /pass|secret|token|^(current|new)$|_URLS?$/i

/** Returns a value of an input for a message: shortened, with invisible characters as `U+200B`; of a secret only its length. */
export function shownValue(value: unknown, name?: PropertyKey): string {
  if (typeof value === 'string')
    return SECRET.test(String(name ?? '')) ? `a text of ${counted(value.length, 'character')}` : quoted(value)
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return String(value)
  if (Array.isArray(value)) return `a list of ${counted(value.length, 'entry', 'entries')}`
  if (value === undefined) return 'missing'
  return typeof value === 'object' ? 'an object' : 'a value of another type'
}

function quoted(text: string): string {
  const characters = [...text]
  const shown = characters.slice(0, MAX_SHOWN_CHARACTERS).map(visibleCharacter).join('')
  return characters.length > MAX_SHOWN_CHARACTERS ? `"${shown}…"` : `"${shown}"`
}

function visibleCharacter(character: string): string {
  if (!/[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u.test(character)) return character
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`
}
