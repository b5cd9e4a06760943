import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const ROOT = new URL('../../../../', import.meta.url)
const GUIDE = new URL('docs/guides/production.md', ROOT)

/** The paths and addresses that the commands of the guide use. */
export interface Places {
  /** `/backup` */
  backup: string
  /** `$PGDATA` */
  data: string
  /** `$ADUANA_DATA_DIR` */
  dataDir: string
  /** `DATABASE_URL` of the programs. */
  databaseUrl?: string
}

/** A code block of the guide with its language. */
interface Block {
  language: string
  text: string
}

/** Returns the code blocks below a heading of the production guide, in order. */
export async function blocksOf(heading: string): Promise<Block[]> {
  const [, section = ''] = (await readFile(GUIDE, 'utf8')).split(`### ${heading}\n`)
  const [own = ''] = section.split(/^##/m)
  return [...own.matchAll(/^```(\w+)\n([\s\S]*?)^```/gm)].map(([, language = '', text = '']) => ({
    language,
    text,
  }))
}

const inPlace = (text: string, backup: string) => text.replace(/(?<!\w)\/backup(?!\w)/g, backup)

/** Returns the PostgreSQL settings of a block. */
export function settingsOf({ text }: Block, { backup }: Pick<Places, 'backup'>): Record<string, string> {
  const lines = text.matchAll(/^(\w+) = '?(.*?)'?$/gm)
  return Object.fromEntries([...lines].map(([, name = '', value = '']) => [name, inPlace(value, backup)]))
}

/** Returns the statements of a block of SQL. */
export function statementsOf({ text }: Block): string[] {
  return text
    .split('\n')
    .map((line) => line.replace(/--.*$/, '').trim())
    .filter(Boolean)
}

/** Runs a block of shell commands with the given paths in place of those of the guide. @throws when one of them fails */
export async function runShell({ text }: Block, places: Places): Promise<void> {
  const { PATH = '' } = process.env
  await promisify(execFile)('sh', ['-ec', inPlace(text, places.backup)], {
    cwd: fileURLToPath(ROOT),
    env: {
      PATH,
      PGDATA: places.data,
      ADUANA_DATA_DIR: places.dataDir,
      ...(places.databaseUrl === undefined ? {} : { DATABASE_URL: places.databaseUrl }),
    },
  })
}
