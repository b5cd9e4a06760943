// An installation whose API is used as its users do, over HTTP: files are uploaded and their jobs followed.
import { openAsBlob } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { periodOfSeed } from '../apps/cli/dist/sample/sample.js'
import { writeSample } from '../apps/cli/dist/sample/write.js'
import { API_HEAP } from '../apps/local/src/application.mjs'
import { startApi } from '../packages/testkit/dist/api.js'

/** Start an API with the heap that `npm start` gives it; workers are started with `system.startWorker`. */
export async function startInstallation({ own, addSystem }) {
  const system = await addSystem({ metrics: true })
  const heap = { NODE_OPTIONS: API_HEAP.join(' ') }
  const api = await own('the API', startApi(system, heap), (started) => started.process.stop())

  const call = async (path, init) => {
    const answer = await api.fetch(path, init)
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
    return answer.json()
  }
  const completed = async ({ id }) => {
    for (;;) {
      const job = await call(`/api/jobs/${id}`)
      if (job.status === 'COMPLETED') return job
      if (job.completedAt) throw new Error(`${job.status}: ${job.message}`)
      await delay(10)
    }
  }
  /** Import a file of `production`; answers the job when it is completed. */
  const importFile = async (path, fields = {}) => {
    const body = new FormData()
    for (const [name, value] of Object.entries({ dataset: 'production', force: 'true', ...fields }))
      body.set(name, value)
    body.set('file', await openAsBlob(path), 'bench.csv')
    return completed(await call('/api/imports', { method: 'POST', body }))
  }
  return { system, api, call, completed, importFile }
}

/** The stages of a job that were done, each with the milliseconds that it took. */
export const stagesOf = (job) =>
  job.attempts
    .filter(({ state }) => state === 'done')
    .map(({ stage, startedAt, finishedAt }) => ({
      stage,
      milliseconds: Date.parse(finishedAt) - Date.parse(startedAt),
    }))

/** The milliseconds that the load of a job took. */
export const loadTime = (job) => stagesOf(job).find(({ stage }) => stage === 'load').milliseconds

/** Write a file of `production` with good rows only, of the period of its seed unless another is given. */
export const writeSampleFile = (path, rows, { seed = 1, ...period } = {}) =>
  writeSample(path, { dataset: 'production', rows, seed, clean: true, ...periodOfSeed(seed), ...period })
