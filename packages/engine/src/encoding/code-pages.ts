/** The single-byte encodings. */
export const CODE_PAGES = ['windows-1252', 'macintosh', 'ibm850', 'ibm437'] as const
export type CodePage = (typeof CODE_PAGES)[number]

/**
 * The characters of the bytes from 0x80 on. The five bytes that windows-1252 leaves undefined are the control
 * characters with the same numbers, as in browsers. Node's own decoders are not used: they lack the DOS code pages, and
 * their windows-1252 decodes 0x80 to 0x9F as control characters.
 */
const HIGH_CHARACTERS: Readonly<Record<CodePage, readonly string[]>> = {
  'windows-1252': [
    '€\u0081‚ƒ„…†‡\u02c6‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—\u02dc™š›œ\u009džŸ',
    '\u00a0¡¢£¤¥¦§¨©ª«¬\u00ad®¯°±²³´µ¶·¸¹º»¼½¾¿',
    'ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖ×ØÙÚÛÜÝÞß',
    'àáâãäåæçèéêëìíîïðñòóôõö÷øùúûüýþÿ',
  ],
  macintosh: [
    'ÄÅÇÉÑÖÜáàâäãåçéèêëíìîïñóòôöõúùûü',
    '†°¢£§•¶ß®©™´¨≠ÆØ∞±≤≥¥µ∂∑∏π∫ªºΩæø',
    '¿¡¬√ƒ≈∆«»…\u00a0ÀÃÕŒœ–—“”‘’÷◊ÿŸ⁄€‹›ﬁﬂ',
    '‡·‚„‰ÂÊÁËÈÍÎÏÌÓÔ\uf8ffÒÚÛÙı\u02c6\u02dc¯\u02d8\u02d9\u02da¸\u02dd\u02db\u02c7',
  ],
  ibm850: [
    'ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒ',
    'áíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐',
    '└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀',
    'ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u00ad±‗¾¶§÷¸°¨·¹³²■\u00a0',
  ],
  ibm437: [
    'ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒ',
    'áíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐',
    '└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀',
    'αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0',
  ],
}

/** Unicode code point of each byte of a code page. */
export const CODE_POINTS: Readonly<Record<CodePage, Uint16Array>> = {
  'windows-1252': codePoints('windows-1252'),
  macintosh: codePoints('macintosh'),
  ibm850: codePoints('ibm850'),
  ibm437: codePoints('ibm437'),
}

/** Returns true if a code page defines a byte. */
export function isDefined(page: CodePage, byte: number): boolean {
  return byte < 0x80 || CODE_POINTS[page][byte] !== byte || byte > 0x9f
}

function codePoints(page: CodePage): Uint16Array {
  const high = HIGH_CHARACTERS[page].join('')
  return Uint16Array.from({ length: 256 }, (_, byte) => (byte < 0x80 ? byte : high.charCodeAt(byte - 0x80)))
}
