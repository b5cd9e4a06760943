import { z } from 'zod'

/** The encodings that an import can declare, with their WHATWG names; DOS code pages with their IANA names. */
export const DeclaredEncoding = z.enum([
  'utf-8',
  'windows-1252',
  'iso-8859-1',
  'macintosh',
  'ibm850',
  'ibm437',
  'utf-16le',
  'utf-16be',
])
export type DeclaredEncoding = z.infer<typeof DeclaredEncoding>
