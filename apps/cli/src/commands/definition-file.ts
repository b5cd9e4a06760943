import { readFile } from 'node:fs/promises'
import type { Api } from '../api/api.ts'
import { UsageError, unreadable } from '../errors.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import type { Io } from '../io.ts'
import { openApi } from '../session.ts'

/** Reads a definition, an object with a code, from a JSON file. @throws UsageError */
async function readDefinition(file: string): Promise<{ code: string; definition: Record<string, unknown> }> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw unreadable(file, error)
  })
  const definition = parseJson(file, text)
  if (typeof definition !== 'object' || definition === null || !('code' in definition))
    throw new UsageError(`${file} is not a definition: "code" is missing.`)
  return { code: String(definition.code), definition: { ...definition } }
}

/** The options of a command that saves a definition. */
export interface SaveOptions {
  json?: boolean
  ifVersion?: number
}

interface Saved {
  code: string
  version: number
  /** Not known of everything that is saved. */
  changed?: boolean
}

/** Makes the definition in a file the next version of what it defines, and shows the result. */
export async function saveDefinition(
  io: Io,
  file: string,
  { json, ifVersion }: SaveOptions,
  save: (api: Api, code: string, definition: Record<string, unknown>, seen?: number) => Promise<Saved>,
): Promise<ExitCode> {
  const { code, definition } = await readDefinition(file)
  const saved = await save(await openApi(io), code, definition, ifVersion)
  io.out(json ? JSON.stringify(saved) : savedSentence(saved))
  return EXIT.loaded
}

function savedSentence({ code, version, changed = true }: Saved): string {
  return changed ? `${code}: saved as version ${version}` : `${code}: unchanged, version ${version}`
}

function parseJson(file: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new UsageError(`${file} is not JSON: ${error instanceof Error ? error.message : String(error)}`)
  }
}
