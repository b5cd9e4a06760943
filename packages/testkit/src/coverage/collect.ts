import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { mergeProcessCovs, type ProcessCov } from '@bcoe/v8-coverage'
import { parse } from 'acorn'
import { convert } from 'ast-v8-to-istanbul'
import libCoverage, { type CoverageMap } from 'istanbul-lib-coverage'
import { z } from 'zod'

type Script = ProcessCov['result'][number]

const Written = z.object({
  result: z.array(
    z.object({
      scriptId: z.string(),
      url: z.string(),
      functions: z.array(
        z.object({
          functionName: z.string(),
          isBlockCoverage: z.boolean(),
          ranges: z.array(z.object({ startOffset: z.number(), endOffset: z.number(), count: z.number() })),
        }),
      ),
    }),
  ),
})

const SourceMap = z.object({
  version: z.literal(3),
  file: z.string(),
  sources: z.array(z.string()),
  names: z.array(z.string()),
  mappings: z.string(),
})

/**
 * What all processes that have written to `folder` ran of the modules of `packages` (paths such as `packages/db`),
 * statement by statement of their sources. Of a module that none has loaded nothing ran.
 */
export async function collectCoverage(
  root: string,
  folder: string,
  packages: readonly string[],
): Promise<CoverageMap> {
  const ran = new Map((await mergeWritten(folder)).map((script) => [script.url, script]))
  const map = libCoverage.createCoverageMap()
  for (const name of packages) {
    for (const file of await builtModules(join(root, name))) {
      const found = ran.get(pathToFileURL(file).href)
      map.merge(await toSource(file, found?.functions ?? []))
    }
  }
  return map
}

/** How many files are merged at once: each of them holds some hundred modules. */
const BATCH = 50

async function mergeWritten(folder: string): Promise<Script[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.json'))
  let merged: ProcessCov = { result: [] }
  for (let from = 0; from < names.length; from += BATCH) {
    const batch = await Promise.all(
      names
        .slice(from, from + BATCH)
        .map(async (name) => Written.parse(JSON.parse(await readFile(join(folder, name), 'utf8')))),
    )
    merged = mergeProcessCovs([merged, ...batch])
  }
  return merged.result
}

async function builtModules(packageFolder: string): Promise<string[]> {
  const dist = join(packageFolder, 'dist')
  const names = await readdir(dist, { recursive: true })
  return names.filter((name) => name.endsWith('.js')).map((name) => join(dist, name))
}

async function toSource(file: string, functions: Script['functions']) {
  const [code, map] = await Promise.all([readFile(file, 'utf8'), readFile(`${file}.map`, 'utf8')])
  return convert({
    code,
    sourceMap: SourceMap.parse(JSON.parse(map)),
    ast: parse(code, { ecmaVersion: 'latest', sourceType: 'module' }),
    coverage: { url: pathToFileURL(file).href, functions },
  })
}
