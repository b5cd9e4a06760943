import { describe, expect, test } from 'vitest'
import { createCensus } from './census.ts'
import { CODE_PAGES, CODE_POINTS, type CodePage } from './code-pages.ts'
import { doubtDeclared, type EncodingGuess, guessEncoding } from './guess.ts'

const latin = (text: string) => Buffer.from(text, 'latin1')

function censusOf(bytes: Uint8Array) {
  const census = createCensus()
  census.add(bytes)
  return census.finish(true)
}

const guess = (bytes: Uint8Array): EncodingGuess => guessEncoding(censusOf(bytes))

/** Returns the bytes of a text in a code page; null if the page lacks one of its characters. */
function encode(text: string, page: CodePage): Uint8Array | null {
  const bytes = [...text].map((character) => CODE_POINTS[page].indexOf(character.charCodeAt(0)))
  return bytes.includes(-1) ? null : Uint8Array.from(bytes)
}

const SENTENCES: Readonly<Record<string, string>> = {
  Spanish:
    'Revisión del año pasado;máquina nº 3, línea 2ª;Muñoz, García y Pérez;¿Qué pasó? ¡Nada!;situación crítica;avería eléctrica;el pingüino;señal débil;bobina húmeda;José;25 °C;10 m²;20 €;«sí»;última;él;árbol;algodón',
  Catalan:
    'Avui és dilluns;la màquina núm. 3;què passa;això és així;l’última línia;línies paral·leles;els països;façana;raó;pingüí;20 €',
  Portuguese:
    'Não há informações;situação crítica;máquina nº 3;operação às 10 h;você;avó e avô;açúcar;você é;São João;pinhões',
  French:
    'L’année dernière;la pièce n° 3;où êtes-vous ?;ça va déjà;«bonjour»;très élevé;hôtel;île;naïf;œuvre;20 €',
  German: 'Übergröße;für Köln;die Straße;„Prüfung“ nötig;Äpfel und Öl;fünf Maßnahmen;10 m³;geändert',
  Italian: 'la qualità è alta;perché no;più di così;città;università;però;l’unità n° 3;20 €;virtù',
}
const FORMS = [
  ['as it is', (text: string) => text],
  ['in capitals', (text: string) => text.replaceAll('ß', 'ss').toUpperCase()],
  [
    'with a capital for each word',
    (text: string) => text.replace(/(?<!\p{L})\p{L}/gu, (one) => one.toUpperCase()),
  ],
] as const

describe.each(Object.entries(SENTENCES))('a text in %s', (_, text) => {
  test.each(FORMS)('%s is certain in windows-1252, as a whole and in each piece', (_form, write) => {
    for (const piece of [text, ...text.split(';')]) {
      const written = encode(write(piece), 'windows-1252')
      if (!written || written.every((byte) => byte < 0x80)) continue
      expect(guess(written), write(piece)).toEqual({ encoding: 'windows-1252', doubt: null })
    }
  })

  test.each(FORMS)(
    '%s is found in MacRoman and the DOS code pages, and reported as a guess',
    (_form, write) => {
      for (const page of CODE_PAGES.filter((one) => one !== 'windows-1252')) {
        const pieces = text.split(';').map(write)
        const writable = pieces.filter((piece) => encode(piece, page)).join(';')
        const written = encode(writable, page)
        if (!written || written.every((byte) => byte < 0x80)) continue
        const { encoding, doubt } = guess(written)
        // The DOS code pages have the letters of these languages in the same places.
        const decoded = encode(writable, page === 'ibm437' && encoding === 'ibm850' ? 'ibm850' : page)
        expect(encode(writable, encoding === 'utf-8' ? page : encoding), `${page}: ${writable}`).toEqual(
          decoded,
        )
        expect(doubt).not.toBeNull()
      }
    },
  )
})

describe('windows-1252', () => {
  test.each([
    'N\xba 3',
    '1\xaa',
    '20 \x80',
    '\x80 5',
    '25\xb0C',
    '\xbfd\xf3nde?',
    '\xa1no!',
    'it\x92s',
    'don\x92t;l\x92ann\xe9e',
    'dell\x92anno',
    'DON\x92T',
    'O\x92Brien',
    'aujourd\x92hui',
    'd\x92Angelo',
    '5\x92',
    '10\xa0000',
    'D\xb4Angelo',
    'caf\xe9 \x97 bar',
    '\xa9 2020',
    '5 \xb5g',
    'x\xb2',
    '\x93a\x94',
    '\xab a \xbb',
    'PE\xd1A',
    'MU\xf1OZ',
    '\xd1',
    'M.\xaa',
    '3\xd74',
    '\x85',
    'Acme\xae',
  ])('is sure of %j alone', (text) => {
    expect(guess(latin(`a;${text};b\n`))).toEqual({ encoding: 'windows-1252', doubt: null })
  })

  test.each([
    ['a byte that it does not define', 'Mu\xf1oz;Garc\xeda;a\x81b;\xf1'.repeat(100)],
    ['a dash within a word', 'Mu\xf1oz;b\x97c'],
    ['a cent sign within a word', 'Mu\xf1oz;\xd1and\xfa;b\xa2c'],
    ['a double dagger within a word', 'Mu\xf1oz;\xd1and\xfa;b\x87c'],
    ['a pair that is UTF-8 among a thousand that are not', `${'Mu\xf1oz;'.repeat(1000)}Mu\xc3\xb1oz`],
    ['an apostrophe where no language has one', 'Garc\x92a;M\x92nimo'],
    ['a currency sign where others have the euro', 'Mu\xf1oz;20 \xa4'],
    ['words of another alphabet', '\xcf\xf0\xe8\xe2\xe5\xf2;\xec\xe8\xf0;Mu\xf1oz'],
  ])('is not sure when a text has %s', (_, text) => {
    expect(guess(latin(text)).doubt).not.toBeNull()
  })

  test('is certain for a long text with very few odd places', () => {
    expect(guess(latin(`${'Mu\xf1oz;Garc\xeda\n'.repeat(500)}Madrid\x97Lisboa\n`)).doubt).toBeNull()
  })
})

describe('UTF-8 and windows-1252 in one file', () => {
  const mixed = (single: number, pairs: number) =>
    guess(
      Buffer.concat([
        latin('Mu\xf1oz;Garc\xeda;a\xf1o\n'.repeat(single)),
        Buffer.from('Muñoz;año\n'.repeat(pairs)),
      ]),
    )

  test.each([
    [1000, 1, 'windows-1252'],
    [10, 3, 'windows-1252'],
    [5, 5, 'utf-8'],
    [3, 10, 'utf-8'],
    [1, 1000, 'utf-8'],
  ] as const)('%d lines of windows-1252 and %d of UTF-8 are %s', (single, pairs, encoding) => {
    expect(mixed(single, pairs).encoding).toBe(encoding)
  })

  test('are a doubt, except for UTF-8 with some broken bytes, whose records are rejected anyway', () => {
    expect(mixed(1000, 1).doubt).toMatchObject({
      odd: 2,
      sample: 'MuÃ±oz',
      rival: { encoding: 'utf-8', sample: 'Muñoz' },
    })
    expect(mixed(5, 5).doubt).not.toBeNull()
    expect(mixed(3, 10).doubt).toBeNull()
  })

  test.each([
    ['in the middle of a cell', 'Ib\xe1\xf1ez', 4, 'Ib\ufffd\ufffdez', 'Ibáñez'],
    ['at the end of a cell', 'Jos\xe9', 4, 'Jos\ufffd', 'José'],
    ['at the beginning of a cell', '\xc1vila', 4, '\ufffdvila', 'Ávila'],
  ])('a doubt about UTF-8 points at the first byte that is not: %s', (_, cell, line, sample, other) => {
    const text = Buffer.concat([
      Buffer.from('a;b\n1;Muñoz\n2;x\n3;'),
      latin(cell),
      Buffer.from('\n4;Núñez\n5;'),
      latin('caf\xe9\xe9'),
    ])
    const { encoding, doubt } = guess(text)
    expect(encoding).toBe('utf-8')
    expect(doubt).toMatchObject({
      invalid: { line },
      sample,
      rival: { encoding: 'windows-1252', sample: other },
    })
  })

  test('the reported place is right in a long text, and next to cells that are longer than a sample', () => {
    const lines = Buffer.from(`${'é'.repeat(40)}\n`.repeat(3000))
    const cell = Buffer.concat([Buffer.from('ñ'.repeat(20)), latin('\xe1x'), Buffer.from('ñ'.repeat(20))])
    expect(censusOf(Buffer.concat([lines, cell])).firstInvalid?.line).toBe(3001)
    const { doubt } = guess(Buffer.concat([Buffer.from('a\n'), cell, latin('\xe1 '.repeat(21))]))
    expect(doubt?.invalid).toEqual({ line: 2 })
    expect(doubt?.sample).toMatch(/^ñ+\ufffdxñ+$/)
  })

  test('a pair that only happens to be UTF-8 does not count for it', () => {
    // Ó and a closing quotation mark.
    expect(guess(latin('\x93PRODUCCI\xd3\x94;Mu\xf1oz'))).toEqual({ encoding: 'windows-1252', doubt: null })
  })
})

describe('an encoding that was declared', () => {
  test.each([
    ['windows-1252', latin('Mu\xf1oz'), null],
    ['windows-1252', Buffer.from('a;b\n'), null],
    [
      'windows-1252',
      Buffer.from('Muñoz'),
      { sample: 'MuÃ±oz', rival: { encoding: 'utf-8', sample: 'Muñoz' } },
    ],
    ['windows-1252', latin('Mu\x96oz'), { sample: 'Mu–oz', rival: { sample: 'Muñoz' } }],
    ['macintosh', latin('Mu\x96oz'), null],
    ['macintosh', latin('Mu\xf1oz;a\xf1o;Garc\xeda;\xfa'), { rival: { encoding: 'windows-1252' } }],
    ['ibm850', latin('Mu\xa4oz'), null],
    ['ibm850', latin('Mu\xf1oz'), { sample: 'Mu±oz' }],
  ] as const)('%s of %j is doubted only when the text looks wrong in it', (declared, bytes, doubt) => {
    const found = doubtDeclared(censusOf(bytes), declared)
    if (doubt === null) expect(found).toBeNull()
    else expect(found).toMatchObject(doubt)
  })
})
