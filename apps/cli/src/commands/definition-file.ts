import { readFile } from 'node:fs/promises'
import { UsageError, unreadable } from '../errors.ts'

/** Read a definition from a JSON file: an object with its code. @throws UsageError */
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

/** What became of a definition that was saved, as a sentence. */
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
