import { describe, expect, test } from 'vitest'
import { decodeText } from '../text.ts'
import { CODE_PAGES, CODE_POINTS } from './code-pages.ts'

const high = Uint8Array.from({ length: 128 }, (_, i) => 0x80 + i)

describe('the tables of the code pages', () => {
  test('agree with the decoders of Node.js, where they exist', () => {
    expect(decodeText(high, 'macintosh')).toBe(new TextDecoder('macintosh').decode(high))
    const stream = new TextDecoder('windows-1252')
    expect(decodeText(high, 'windows-1252')).toBe(stream.decode(high, { stream: true }))
  })

  test('contain the letters and box-drawing characters of DOS', () => {
    const bytes = Uint8Array.from([0xa0, 0x82, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0x81, 0xa8, 0xad, 0xa7, 0xa6])
    for (const page of ['ibm850', 'ibm437'] as const) {
      expect(decodeText(bytes, page)).toBe('áéíóúñÑü¿¡ºª')
      expect(decodeText(Uint8Array.from([0xc9, 0xcd, 0xbb, 0xb3, 0xdb]), page)).toBe('╔═╗│█')
    }
    expect(decodeText(Uint8Array.from([0xb5, 0x90, 0xd6, 0xe0, 0xe9]), 'ibm850')).toBe('ÁÉÍÓÚ')
    expect(decodeText(Uint8Array.from([0xe0, 0xe3, 0xf2]), 'ibm437')).toBe('απ≥')
  })

  test.each(CODE_PAGES)('%s gives each byte a character of its own', (page) => {
    expect(new Set(CODE_POINTS[page]).size).toBe(256)
  })
})
