import { describe, expect, test } from 'vitest'
import { recogniseBytes } from './recognise.ts'

const text = (value: string, encoding: BufferEncoding = 'utf8') =>
  recogniseBytes(Buffer.from(value, encoding), true)

describe('recognition by content', () => {
  test.each([
    ['a;b\n1;2\n', { kind: 'csv', encoding: 'utf-8', encodingSure: false, bom: false }],
    ['\ufeffa;b\n', { kind: 'csv', encoding: 'utf-8', encodingSure: true, bom: true }],
    ['año;máquina\n', { kind: 'csv', encoding: 'utf-8', encodingSure: false, bom: false }],
    ['', { kind: 'empty' }],
    [' \r\n\n', { kind: 'empty' }],
    ['%PDF-1.7\n', { kind: 'unsupported', found: 'a PDF document' }],
    ['[{"a":1}]', { kind: 'unsupported', found: 'a JSON document' }],
    ['<!DOCTYPE html><p>', { kind: 'unsupported', found: 'an HTML page' }],
    ['["a"];["b"]\n1;2\n', { kind: 'csv', encoding: 'utf-8', encodingSure: false, bom: false }],
  ])('%j', (value, found) => {
    expect(text(value)).toEqual(found)
  })

  test('windows-1252, UTF-16 with and without BOM', () => {
    expect(text('a\xf1o;m\xe1quina\n', 'latin1')).toMatchObject({
      encoding: 'windows-1252',
      encodingSure: false,
    })
    expect(text('\ufeffaño;b\n', 'utf16le')).toMatchObject({
      encoding: 'utf-16le',
      encodingSure: true,
      bom: true,
    })
    expect(text('fecha;turno\n1;2\n', 'utf16le')).toMatchObject({ encoding: 'utf-16le', bom: false })
    const swapped = Buffer.from('fecha;turno\n', 'utf16le').swap16()
    expect(recogniseBytes(swapped, true)).toMatchObject({ encoding: 'utf-16be', bom: false })
  })

  test('a mostly good UTF-8 text with a broken sequence stays UTF-8', () => {
    const bytes = Buffer.concat([Buffer.from('año;día;ñ\n'), Buffer.from([0xc3, 0x0a])])
    expect(recogniseBytes(bytes, true)).toMatchObject({ encoding: 'utf-8' })
  })

  test('a sample that ends within a character is still UTF-8', () => {
    expect(recogniseBytes(Buffer.from('abcñ').subarray(0, 4))).toMatchObject({ encoding: 'utf-8' })
  })

  test('archives, programs and noise are named; a stray NUL is not noise', () => {
    expect(recogniseBytes(Buffer.from([0x1f, 0x8b, 8]))).toEqual({ kind: 'gzip' })
    expect(recogniseBytes(Buffer.from('PK\x03\x04....[Content_Types].xml', 'latin1'))).toMatchObject({
      found: 'an Excel workbook (.xlsx)',
    })
    expect(recogniseBytes(Buffer.from('PK\x03\x04......a.csv', 'latin1'))).toMatchObject({
      found: 'a zip archive',
    })
    expect(recogniseBytes(Buffer.from('\x7fELF\x02\x01', 'latin1'))).toMatchObject({
      found: 'a program (ELF)',
    })
    const noise = Uint8Array.from({ length: 4096 }, (_, i) => (i * 7919 + (i >> 3)) % 256)
    expect(recogniseBytes(noise)).toMatchObject({ found: 'binary data' })
    expect(text('a;b\n1;\0\n2;3\n')).toMatchObject({ kind: 'csv' })
  })
})
