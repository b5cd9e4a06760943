import { describe, expect, test } from 'vitest'
import { recogniseBytes } from './recognise.ts'

const text = (value: string, encoding: BufferEncoding = 'utf8') =>
  recogniseBytes(Buffer.from(value, encoding), true)

/** Returns an archive of one file, as tar writes it. */
function tar(name: string, content: string): Buffer {
  const header = Buffer.alloc(512)
  header.write(name, 0)
  header.write('0000644\x000001750\x000001750\0', 100)
  header.write(`${content.length.toString(8).padStart(11, '0')}\0${'0'.repeat(11)}\0        0`, 124)
  header.write('ustar\x0000', 257, 'latin1')
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  const body = Buffer.from(content)
  return Buffer.concat([header, body, Buffer.alloc(512 - (body.length % 512))])
}

describe('recognition by content', () => {
  test.each([
    ['a;b\n1;2\n', { kind: 'csv', encoding: 'utf-8', encodingSure: false, bom: false }],
    ['\ufeffa;b\n', { kind: 'csv', encoding: 'utf-8', encodingSure: true, bom: true }],
    ['año;máquina\n', { kind: 'csv', encoding: 'utf-8', encodingSure: false, bom: false }],
    ['', { kind: 'empty' }],
    [' \r\n\n', { kind: 'empty' }],
    ['%PDF-1.7\n', { kind: 'unsupported', found: 'a PDF document' }],
    ['[{"a":1}]', { kind: 'unsupported', found: 'a JSON document' }],
    ['\x1a', { kind: 'empty' }],
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

  test('a mostly valid UTF-8 text with a broken sequence stays UTF-8', () => {
    const bytes = Buffer.concat([Buffer.from('año;día;ñ\n'), Buffer.from([0xc3, 0x0a])])
    expect(recogniseBytes(bytes, true)).toMatchObject({ encoding: 'utf-8' })
  })

  test('a sample that ends within a character is still UTF-8', () => {
    expect(recogniseBytes(Buffer.from('abcñ').subarray(0, 4))).toMatchObject({ encoding: 'utf-8' })
  })

  test.each([
    ['a table', '<table><tr><th>fecha</th></tr><tr><td>2020-01-14</td></tr></table>', 'table'],
    ['a table in capitals', '\r\n <TABLE BORDER="1">\r\n\t<TR><TD>fecha', 'table'],
    ['a table behind a byte order mark', '\ufeff<table><tr><td>1', 'table'],
    ['a table behind a comment', '<!-- made by a program -->\n<table class="x">\n<tr>', 'table'],
    ['a comment that is very long', `<!-- ${'x'.repeat(9000)} --><table><tr>`, 'table'],
    [
      'a table behind an XML declaration',
      '<?xml version="1.0"?>\n<table><tr><td>1</td></tr></table>',
      'table',
    ],
    ['a page with a table', '<html><head><title>x</title></head><body><table><tr><td>', 'table'],
    ['a page behind a doctype', '<!DOCTYPE html PUBLIC "x">\n<!-- c --><html><body>Log in', 'page'],
    ['a page that begins with its head', '<head><meta charset="utf-8"></head>', 'page'],
    ['a warning of a program', '<br />\n<b>Warning</b>: no such table', 'page'],
    ['rows alone', '<tr><td>1</td></tr>', 'table'],
  ])('%s is HTML, in UTF-8, UTF-16 and windows-1252', (_, html, kind) => {
    const found = { kind: 'unsupported', found: `an HTML ${kind}` }
    expect(text(html)).toEqual(found)
    expect(text(`\ufeff${html.replace('\ufeff', '')}`, 'utf16le')).toEqual(found)
    expect(text(html.replace('\ufeff', ''), 'utf16le')).toEqual(found)
    expect(text(`${html.replace('\ufeff', '')} ma\xf1ana`, 'latin1')).toEqual(found)
    expect(recogniseBytes(Buffer.from(html))).toEqual(found)
  })

  test.each([
    '<DATE>,<TIME>,<OPEN>\n2020-01-01,10:00,1\n',
    '<TITLE>\t<AUTHOR>\nx\ty\n',
    '<table>;<b>\n1;2\n',
    '<p>;<br>\n1;2\n',
    '<TITLE>\nA book\n',
    'a;b\n<table>;<tr>\n',
    'a,b\n<html>,x\n',
    '<5;>10\n1;2\n',
  ])('a delimited text with tags is none: %j', (value) => {
    expect(text(value)).toMatchObject({ kind: 'csv' })
  })

  test.each([
    ['PDF', ['%PDF-', '%PDF-1.7x']],
    ['Parquet', ['PAR1', 'PARE']],
    ['GIF', ['GIF8', 'GIF87a', 'GIF89a']],
    ['Windows', ['MZ']],
    ['bzip2', ['BZh', 'BZh9', 'BZh91AY&SY', 'BZh91AY&SY1234567890']],
    ['RAR', ['Rar!']],
    ['SQLite', ['SQLite f', 'SQLite format 3']],
    ['Avro', ['Obj']],
    ['ORC', ['ORC']],
    ['zip', ['PK']],
    ['ELF', ['ELF']],
    ['7z', ['7z']],
    ['xz', ['7zXZ']],
    ['JPEG, in windows-1252', ['\xff\xd8\xffx']],
    ['PNG, in windows-1252', ['\x89PNG']],
  ])('a text that begins with the letters of %s is text', (_, starts) => {
    for (const start of starts)
      for (const rest of [
        '',
        ';b\n1;2\n',
        '_x,n\r\nz,2\r\n',
        '\tb\n1\t2\n',
        '\n1\n2\n',
        ' a;b\n1;2\n'.repeat(200),
      ])
        expect(text(`${start}${rest}`, 'latin1'), JSON.stringify(start + rest)).toMatchObject({ kind: 'csv' })
  })

  test('a text with "ustar" at byte 257, where a tar archive has it, is text', () => {
    const line = (length: number) => `${'x'.repeat(length - 1)}\n`
    expect(text(`a\n${line(255)}ustar\n`)).toMatchObject({ kind: 'csv' })
    expect(text(`a\n${line(255)}ustar\n${line(300)}`)).toMatchObject({ kind: 'csv' })
    expect(text(`a\n${line(146)}0001234\n${line(101)}ustar\n${line(300)}`)).toMatchObject({ kind: 'csv' })
  })

  test.each([
    ['a tar archive', tar('a.csv', 'k,n\na,1\n')],
    ['a tar archive', tar('a.csv', 'k,n\n'.padEnd(60_000, 'a,1\n'))],
    ['a bzip2 archive', Buffer.from('QlpoOTFBWSZTWRmTm2sAAAABACAAIAAhGEaC7kinChIDMnNtYA==', 'base64')],
    ['a bzip2 archive', Buffer.from('QlpoORdyRThQkAAAAAA=', 'base64')],
    ['a GIF image', Buffer.from('R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7', 'base64')],
    ['a GIF image', Buffer.from('GIF87a\xc0\x20\xc0\x20\xf7\x20\x00,', 'latin1')],
    ['a Parquet file', Buffer.from('PAR1\x15\x04\x15\x40\x15\x42L', 'latin1')],
    ['an ORC file', Buffer.from('ORC\x0a\x0b\x0a\x03\x00\x00\x00', 'latin1')],
    ['a PDF document', Buffer.from('%PDF-1.4\r%\xe2\xe3\xcf\xd3\r', 'latin1')],
    ['a program (Windows)', Buffer.from('MZ\x90\x00\x03', 'latin1')],
    ['a program (Windows)', Buffer.from('MZP\x00\x02', 'latin1')],
    ['an SQLite database', Buffer.from('SQLite format 3\0\x10\0', 'latin1')],
    ['an Avro file', Buffer.from('Obj\x01\x04\x14avro.codec', 'latin1')],
    ['a PNG image', Buffer.from('\x89PNG\r\n\x1a\n\0', 'latin1')],
    ['a JPEG image', Buffer.from('\xff\xd8\xff\xe0\0\x10JFIF', 'latin1')],
  ])('%s is recognised by more than letters', (found, bytes) => {
    expect(recogniseBytes(bytes, true)).toEqual({ kind: 'unsupported', found })
  })

  test('zeros and Ctrl-Z after a text do not make it binary, however many', () => {
    for (const padding of ['\x1a', '\x1a'.repeat(200), '\0'.repeat(5000), '\x1a\0\0\0'.repeat(999)]) {
      expect(text(`a;b\n1;2\n${padding}`)).toMatchObject({ kind: 'csv' })
      expect(recogniseBytes(Buffer.from(`a;b\n1;2\n${padding}`))).toMatchObject({ kind: 'csv' })
    }
    expect(text('\0'.repeat(100))).toMatchObject({ kind: 'unsupported' })
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
