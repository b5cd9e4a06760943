import { createHash } from 'node:crypto'
import type { ArtifactStore } from '@aduana/artifacts/store'
import { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type pg from 'pg'
import { z } from 'zod'
import { PROMISES, type PromiseCheck } from './promises.ts'
import { promisesOfTarget } from './promises-of-target.ts'

const Places = z.array(z.object({ what: z.string() }))
const Datasets = z.array(z.object({ id: z.uuid(), definition: DatasetDefinition }))
const Files = z.array(
  z.object({ job_id: z.string(), name: z.string(), key: z.string(), bytes: z.string(), sha256: z.string() }),
)

const PLACES_SHOWN = 5

/**
 * Returns every broken promise of an installation, with its number and where it is broken; empty when all hold. Call it
 * when all work has ended: a job in progress counts as one without a final state. With the store, the files that jobs
 * reference are read as well.
 */
export async function brokenGuarantees(pool: pg.Pool, store?: ArtifactStore): Promise<string[]> {
  const broken: string[] = []
  for (const check of PROMISES) broken.push(...(await violations(pool, check, [])))
  const datasets = await pool.query(
    `select d.id, v.definition from datasets d
       join dataset_versions v on v.dataset_id = d.id and v.version = d.current_version order by d.code`,
  )
  for (const { id, definition } of Datasets.parse(datasets.rows))
    for (const check of promisesOfTarget(definition)) broken.push(...(await violations(pool, check, [id])))
  if (store) broken.push(...(await badFiles(pool, store)))
  return broken
}

async function violations(pool: pg.Pool, check: PromiseCheck, parameters: string[]): Promise<string[]> {
  const found = await pool.query(check.sql, parameters)
  const places = Places.parse(found.rows).map(({ what }) => what)
  if (places.length === 0) return []
  const more = places.length > PLACES_SHOWN ? ` and ${places.length - PLACES_SHOWN} more` : ''
  return [`${check.promise}: ${check.broken}: ${places.slice(0, PLACES_SHOWN).join('; ')}${more}`]
}

/** Returns referenced files that are missing from the store or have other bytes than recorded. */
async function badFiles(pool: pg.Pool, store: ArtifactStore): Promise<string[]> {
  const files = await pool.query(
    'select job_id, name, key, bytes::text, sha256 from artifacts where removed_at is null',
  )
  const bad: string[] = []
  for (const file of Files.parse(files.rows)) {
    const found = await measure(store, file.key)
    if (found !== `${file.bytes} ${file.sha256}`)
      bad.push(`G5: the file ${file.name} of ${file.job_id} is not what was stored: ${found}`)
  }
  return bad
}

async function measure(store: ArtifactStore, key: string): Promise<string> {
  const hash = createHash('sha256')
  let bytes = 0
  try {
    for await (const chunk of await store.open(key)) {
      hash.update(chunk)
      bytes += chunk.length
    }
  } catch (error) {
    return String(error)
  }
  return `${bytes} ${hash.digest('hex')}`
}
