import { readFile } from 'node:fs/promises'
import { UsageError, unreadable } from '../errors.ts'

/** Reads a definition, an object with a code, from a JSON file. @throws UsageError */
export async function readDefinition(
  file: string,
): Promise<{ code: string; definition: Record<string, unknown> }> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw unreadable(file, error)
  })
  const definition = parseJson(file, text)
  if (typeof definition !== 'object' || definition === null || !('code' in definition))
    throw new UsageError(`${file} is not a definition: "code" is missing.`)
  return { code: String(definition.code), definition: { ...definition } }
}

/** Returns the result of saving a definition as text. */
export function savedSentence({
  code,
  version,
  changed,
}: {
  code: string
  version: number
  changed: boolean
}): string {
  return changed ? `${code}: saved as version ${version}` : `${code}: unchanged, version ${version}`
}

function parseJson(file: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new UsageError(`${file} is not JSON: ${error instanceof Error ? error.message : String(error)}`)
  }
}
