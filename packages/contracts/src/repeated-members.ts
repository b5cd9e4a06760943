const TOKENS = /"(?:[^"\\]|\\.)*"|[{}[\],:]/gs

/**
 * Returns the name of the first member that an object of a JSON text has twice, or undefined. `JSON.parse` silently
 * uses the last one. The text must be well-formed JSON.
 */
export function repeatedMember(json: string): string | undefined {
  // For each open object the names of its members; for an array undefined. Not recursive: texts may nest deeply.
  const open: (Set<string> | undefined)[] = []
  let text = ''
  for (const [token] of json.matchAll(TOKENS)) {
    if (token === '{') open.push(new Set())
    else if (token === '[') open.push(undefined)
    else if (token === '}' || token === ']') open.pop()
    else if (token.startsWith('"')) text = token
    else if (token === ':') {
      const name = String(JSON.parse(text))
      const names = open.at(-1)
      if (names?.has(name)) return name
      names?.add(name)
    }
  }
  return undefined
}
