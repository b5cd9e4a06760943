const MARK_UP = 4096

/** Elements at the start of an HTML page or fragment. Others, such as <b>, may start a cell. */
const HTML_ELEMENTS =
  /^<(html|head|body|table|thead|tbody|colgroup|tr|td|th|caption|meta|link|base|style|script|title|div|form|center|br|hr|p|h[1-6])\b[^<>]*>/i
/** What may precede the first element: declarations, comments, instructions. */
const BEFORE_ELEMENTS = /^(\s+|<\?.*?\?>|<!--.*?-->|<!doctype\b[^>]*>)/is

/**
 * Returns the kind of a text that is markup instead of a table of delimited cells; null for any other text. A header
 * such as `<DATE>,<OPEN>`, which trading programs write, is not markup.
 */
export function markupKind(text: string): string | null {
  const head = text.slice(0, MARK_UP).replace(/^\ufeff/, '')
  const start = head.trimStart()
  const content = afterPrologue(start)
  if (/^<!doctype html\b/i.test(start) || isHtml(content))
    return isTable(text) ? 'an HTML table' : 'an HTML page'
  // A comment that does not end within the sample does not start a table either.
  if (/^<!--/.test(content)) return isTable(text) ? 'an HTML table' : 'an HTML page'
  if (/^<\?xml/i.test(start)) return 'an XML document'
  if (/^(\{\s*"[^"]*"\s*:|\[\s*(\{|\[|"))/.test(start) && !/^\["[^"]*"\][;,\t|]/.test(start))
    return 'a JSON document'
  return null
}

function isTable(text: string): boolean {
  return /<(table|tr|td|th)\b/i.test(text)
}

function isHtml(content: string): boolean {
  const [tag] = HTML_ELEMENTS.exec(content) ?? []
  if (tag === undefined) return false
  // A tag followed by a delimiter is a cell of a header.
  if (/^ *([,;|]|\t(?!\s*<t))/i.test(content.slice(tag.length))) return false
  return /^<(html|head|body|table)\b/i.test(tag) || /<\/?[a-z][^<>]*>/i.test(content.slice(tag.length))
}

function afterPrologue(text: string): string {
  let rest = text
  for (let skipped = BEFORE_ELEMENTS.exec(rest); skipped; skipped = BEFORE_ELEMENTS.exec(rest))
    rest = rest.slice(skipped[0].length)
  return rest
}
