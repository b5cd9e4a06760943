import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startProduct } from '@aduana/testkit/processes'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url))

let system: TestSystem
let folder: string
let stopApi: () => Promise<void>
let environment: Record<string, string>

beforeAll(async () => {
  system = await createTestSystem({ workers: 1 })
  folder = await mkdtemp(join(tmpdir(), 'aduana-cli-'))
  const password = 'correct horse battery'
  // The system has an admin without a password; the one of the settings is made when there are no users.
  await system.database.pool.query('delete from users')
  const api = startProduct('api', {
    ...system.environment,
    PORT: '0',
    ADUANA_JWT_SECRET: 'x'.repeat(40),
    ADUANA_ADMIN_EMAIL: 'admin@aduana.local',
    ADUANA_ADMIN_PASSWORD: password,
  })
  stopApi = api.stop
  await api.untilLogged('api.ready')
  const address = await until(
    () => api.lines.flatMap((line) => /"address":"([^"]+)"/.exec(line)?.[1] ?? [])[0],
    { what: 'the API says where it listens' },
  )
  environment = { ADUANA_URL: address, ADUANA_EMAIL: 'admin@aduana.local', ADUANA_PASSWORD: password }
})
afterAll(async () => {
  await stopApi()
  await system.close()
  await rm(folder, { recursive: true, force: true })
})

interface Ended {
  code: number
  /** What it wrote to standard output, then to standard error. */
  output: string
}

/** Runs the program as a user does. Returns its exit code and output. */
function aduana(...args: string[]): Promise<Ended> {
  return piped(Buffer.alloc(0), args)
}

/** Runs the program with `content` as its standard input. */
function piped(
  input: Buffer,
  args: string[],
  given: Record<string, string | undefined> = { HOME: folder, ...environment },
): Promise<Ended> {
  const { PATH, NODE_OPTIONS } = process.env
  const options = { env: { PATH, NODE_OPTIONS, ...given }, cwd: folder, maxBuffer: 50_000_000 }
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [MAIN, ...args], options, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, output: stdout + stderr })
    })
    // A program that reads nothing may end before it has got all.
    child.stdin?.on('error', () => undefined).end(input)
  })
}

describe('the whole system, from the command line', () => {
  test.each(['production', 'orders', 'dkt'])(
    'accounts for every record of a dirty file of %s',
    async (dataset) => {
      const [file, report] = [join(folder, `${dataset}.csv`), join(folder, `${dataset}.json`)]
      const made = await aduana(
        'sample',
        '--dataset',
        dataset,
        '--rows',
        '20000',
        '--seed',
        '11',
        '--out',
        file,
        '--report',
        report,
      )
      expect(made.code).toBe(0)
      const expected = JSON.parse(await readFile(report, 'utf8'))

      const { code, output } = await aduana('import', file, '-d', dataset, '--json')
      expect(code).toBe(2)
      const { job } = JSON.parse(output)
      expect(job).toMatchObject({
        status: 'COMPLETED',
        progress: 100,
        counts: {
          records: expected.records,
          loaded: expected.good,
          quarantined: expected.rejected,
          duplicates: expected.duplicates,
          conflicts: expected.conflicts,
        },
      })
      const rejects = (await system.artifact(job.id, 'rejects.ndjson')).trimEnd().split('\n')
      expect(rejects).toHaveLength(expected.rejected)
      const duplicates = (await system.artifact(job.id, 'duplicates.ndjson')).split('\n').filter(Boolean)
      expect(duplicates).toHaveLength(expected.duplicates)
    },
  )

  test('shows by its exit code that the same bytes are already imported', async () => {
    const { code, output } = await aduana('import', join(folder, 'production.csv'), '-d', 'production')
    expect(code).toBe(5)
    expect(output).toContain('already_imported')
  })

  test('reads a file from standard input with the given options', async () => {
    const header = 'fecha,maquina,maquinista,turno,lote,cantidad,peso,observacion'
    const content = `${header.replaceAll(',', '|')}\n2021-05-01|M001|W0001|1|L1|5|1.5|A\xf1o\n`
    const options = ['-d', 'production', '--encoding', 'windows-1252', '--delimiter', '|']
    const { code, output } = await piped(Buffer.from(content, 'latin1'), [
      ...['import', '-', '--file-name', 'mayo.csv', '--json'],
      ...options,
    ])
    expect(code).toBe(0)
    const { job } = JSON.parse(output)
    expect(job).toMatchObject({
      parameters: { fileName: 'mayo.csv', encoding: 'windows-1252', delimiter: '|' },
      result: { encoding: 'windows-1252', columns: expect.arrayContaining(['observacion', 'lote']) },
    })
    const path = join(folder, 'mayo again.csv')
    expect(await aduana('artifacts', job.id)).toMatchObject({ output: expect.stringContaining('original') })
    expect((await aduana('download', job.id, 'original', '-o', path)).code).toBe(0)
    expect(await readFile(path, 'latin1')).toBe(content)
    expect((await aduana('download', job.id, 'original', '-o', '-')).output).toBe(
      Buffer.from(content, 'latin1').toString(),
    )
    const windows = await aduana('windows', 'production', '--from', '2021-05-01', '--to', '2021-05-03')
    expect(windows.output).toMatch(new RegExp(`2021-05-01 +2021-05-01 +1 +loaded +1 +${job.id}\n`))
    expect(windows.output).toMatch(/2021-05-02 +2021-05-02 +1 +missing +0/)
  })

  test('a file that is downloaded under its own name replaces none', async () => {
    const { output } = await aduana('jobs', '--limit', '1', '--json')
    const [{ id }] = JSON.parse(output)
    expect(await aduana('download', id, 'original')).toMatchObject({ code: 0, output: 'mayo.csv: 99 B\n' })
    expect(await readdir(folder)).toContain('mayo.csv')
    const again = await aduana('download', id, 'original')
    expect(again).toMatchObject({ code: 1, output: expect.stringContaining('mayo.csv already exists') })
    expect(await aduana('download', id, 'nothing')).toMatchObject({
      code: 1,
      output: expect.stringContaining('Its files are original'),
    })
    expect((await readdir(folder)).filter((name) => name.endsWith('.part'))).toEqual([])
  })

  test('shows until when an import with a later start waits', async () => {
    const file = join(folder, 'later.csv')
    await writeFile(file, 'fecha\n')
    const asked = ['-d', 'production', '--start-at', '2100-12-01T05:00:00+01:00', '--no-wait', '--json']
    const { id } = JSON.parse((await aduana('import', file, ...asked)).output).job
    const { output } = await aduana('jobs', id)
    expect(output).toContain('Scheduled to start at 2100-12-01 04:00:00 UTC')
    expect((await aduana('cancel', id)).code).toBe(0)
  })

  test('lists an undo as such, and shows the result of unwinding', async () => {
    const file = (quantity: number) =>
      `fecha,maquina,maquinista,turno,lote,cantidad,peso\n2021-06-01,M001,W0001,1,L1,${quantity},1.5\n`
    const ids: string[] = []
    for (const quantity of [1, 2, 3]) {
      const { output } = await piped(Buffer.from(file(quantity)), [
        'import',
        '-',
        '-d',
        'production',
        '--json',
      ])
      ids.push(JSON.parse(output).job.id)
    }
    const { code, output } = await aduana('undo', ids[0] ?? '', '--unwind')
    expect(code).toBe(0)
    expect(output).toMatch(/imports undone +3\n/)
    expect(output).toMatch(/rows deleted +1\n/)
    expect(output).toMatch(/rows restored +0\n/)
    expect((await aduana('jobs', '--type', 'undo')).output).toMatch(/ undo +production +COMPLETED /)
    const shown = async (...options: string[]) =>
      (await aduana('jobs', '--type', 'import', ...options)).output
    expect(await shown()).not.toContain(ids[0])
    expect(await shown('--undone')).toContain(ids[0])
  })

  test('saves series and metrics as it prints them, and changed ones as their next version', async () => {
    const [series, metric] = [join(folder, 'series.json'), join(folder, 'metric.json')]
    const printed = JSON.parse((await aduana('series', 'production.quantity')).output)
    await writeFile(series, JSON.stringify(printed))
    expect((await aduana('series', 'save', series)).output).toBe('production.quantity: saved as version 1\n')
    await writeFile(series, JSON.stringify({ ...printed, unit: 'u' }))
    expect((await aduana('series', 'save', series)).output).toBe('production.quantity: saved as version 2\n')
    expect((await aduana('series')).output).toMatch(/production.quantity .* u +2\n/)
    const definition = JSON.parse((await aduana('metrics', 'production.pieces', '--definition')).output)
    await writeFile(metric, JSON.stringify(definition))
    expect((await aduana('metric', 'save', metric)).output).toBe('production.pieces: unchanged, version 1\n')
    await writeFile(metric, JSON.stringify({ ...definition, unit: 'u' }))
    const stale = await aduana('metric', 'save', metric, '--if-version', '9')
    expect(stale).toMatchObject({ code: 1, output: expect.stringContaining('version_changed') })
    expect((await aduana('metric', 'save', metric, '--if-version', '1')).output).toBe(
      'production.pieces: saved as version 2\n',
    )
  })

  test('a login with a piped password works until it is logged out', async () => {
    const { ADUANA_URL, ADUANA_EMAIL, ADUANA_PASSWORD } = environment
    const stored = { HOME: folder, ADUANA_URL }
    const login = ['login', ADUANA_EMAIL ?? '', '--password-stdin']
    expect(await piped(Buffer.from(`${ADUANA_PASSWORD}\n`), login, stored)).toMatchObject({ code: 0 })
    const { token } = JSON.parse(await readFile(join(folder, '.config', 'aduana', 'session.json'), 'utf8'))
    const jobs = (env: Record<string, string | undefined>) => piped(Buffer.alloc(0), ['jobs'], env)
    expect(await jobs(stored)).toMatchObject({ code: 0 })
    expect(await piped(Buffer.alloc(0), ['logout'], stored)).toMatchObject({ code: 0 })
    expect(await jobs(stored)).toMatchObject({ code: 1, output: expect.stringContaining('not logged in') })
    const ended = await jobs({ ADUANA_URL, ADUANA_TOKEN: token })
    expect(ended).toMatchObject({ code: 1, output: expect.stringContaining('unauthenticated') })
  })

  test('runs the demo, and every figure is as expected', async () => {
    const { code, output } = await aduana('demo')
    expect(output).toContain('no record was lost or loaded twice')
    expect(code).toBe(0)
  })
})
