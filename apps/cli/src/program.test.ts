import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { PROBLEMS, type ProblemCode } from '@aduana/contracts/problems'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { Interrupted, type Io, programName } from './io.ts'
import { JOB_ID, job } from './testing/jobs.ts'
import { runCaptured } from './testing/run-captured.ts'

type Handler = (request: IncomingMessage, response: ServerResponse) => void

let server: Server
let url: string
let folder: string
let handle: Handler = () => undefined

beforeAll(async () => {
  server = createServer((request, response) => handle(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
  folder = await mkdtemp(join(tmpdir(), 'aduana-cli-'))
})
afterAll(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  await rm(folder, { recursive: true })
})
afterEach(() => {
  handle = () => undefined
})

/** Runs the program with the responses of `handle`. */
const aduana = (args: string[], given: Partial<Io> = {}) =>
  runCaptured(args, {
    env: { ADUANA_URL: url, ADUANA_TOKEN: 'a-token', XDG_CONFIG_HOME: folder },
    ...given,
  })

function answer(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
}

function refuse(response: ServerResponse, code: ProblemCode, headers?: Record<string, string>): void {
  const { status, title } = PROBLEMS[code]
  answer(
    response,
    status,
    { type: `urn:aduana:problem:${code}`, title, status, detail: 'Because.', code },
    headers,
  )
}

async function fileWith(content: string): Promise<string> {
  const path = join(folder, 'mayo "1".csv')
  await writeFile(path, content)
  return path
}

/** Runs `work` with a new folder for temporary files. Returns the remaining files. */
async function leftBy(work: () => Promise<unknown>): Promise<string[]> {
  const { TMPDIR } = process.env
  const own = await mkdtemp(join(folder, 'temporary-'))
  process.env.TMPDIR = own
  try {
    await work()
  } finally {
    if (TMPDIR === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = TMPDIR
  }
  return readdir(own)
}

/** Answers like an API whose job ends as `ended`; without WebSocket. */
function importing(ended: ReturnType<typeof job>, onForm: (form: string) => void = () => undefined): Handler {
  return async (request, response) => {
    if (request.method === 'POST') {
      onForm(await text(request))
      return answer(response, 202, { id: JOB_ID, status: 'QUEUED' })
    }
    if (request.url?.endsWith('/report'))
      return answer(response, 200, { seconds: 1, rowsPerSecond: 3, rejects: [] })
    return answer(response, 200, ended)
  }
}

describe('aduana import', () => {
  test('sends the file with its fields, and distinguishes loaded from loaded with quarantine', async () => {
    let form = ''
    const ended = job({ status: 'COMPLETED', counts: { records: 3, loaded: 2, quarantined: 1 } })
    handle = importing(ended, (sent) => {
      form = sent
    })
    const file = await fileWith('a;b\n1;2\n')
    const fields = ['-d', 'production', '--from', '2026-01-01', '--to', '2026-02-01', '--expect-records', '3']
    const result = await aduana(['import', file, ...fields])
    expect(result).toMatchObject({ code: 2 })
    expect(result.out).toContain('with 1 record in quarantine')
    for (const part of [
      'name="dataset"\r\n\r\nproduction\r\n',
      'name="from"\r\n\r\n2026-01-01\r\n',
      'name="expectedRecords"\r\n\r\n3\r\n',
      '\r\n\r\na;b\n1;2\n\r\n',
    ])
      expect(form).toContain(part)
    expect(form).toContain('filename="mayo %221%22.csv"')
    handle = importing(job({ status: 'COMPLETED', counts: { records: 3, loaded: 3, quarantined: 0 } }))
    expect((await aduana(['import', file, '-d', 'production'])).code).toBe(0)
  })

  test('sends the start time and how to read the file, and shows the time', async () => {
    let form = ''
    handle = importing(job({ status: 'COMPLETED', counts: { records: 3, loaded: 3 } }), (sent) => {
      form = sent
    })
    const asked = ['--start-at', '2100-12-01T05:00:00Z', '--encoding', 'windows-1252', '--delimiter', 'tab']
    const { code, err } = await aduana(['import', await fileWith('a'), '-d', 'production', ...asked])
    expect(code).toBe(0)
    expect(err).toContain('The import starts at 2100-12-01 05:00:00 UTC, in ')
    for (const part of [
      'name="startAt"\r\n\r\n2100-12-01T05:00:00Z\r\n',
      'name="encoding"\r\n\r\nwindows-1252\r\n',
      'name="delimiter"\r\n\r\n\t\r\n',
    ])
      expect(form).toContain(part)
  })

  test('sends piped data with its size under the given name, and retries', async () => {
    const forms: string[] = []
    const answered = importing(job({ status: 'COMPLETED', counts: { records: 1, loaded: 1 } }), (form) => {
      forms.push(form)
    })
    handle = async (request, response) => {
      if (request.method === 'POST' && forms.length === 0) {
        forms.push(await text(request))
        return refuse(response, 'unavailable', { 'retry-after': '0' })
      }
      await answered(request, response)
    }
    const input = () => Readable.from([Buffer.from('a;b\n'), Buffer.from('1;2\n')])
    const args = ['import', '-', '-d', 'production', '--file-name', 'mayo.csv']
    const left = await leftBy(async () => {
      expect(await aduana(args, { input })).toMatchObject({ code: 0 })
    })
    expect(left).toEqual([])
    expect(forms).toHaveLength(2)
    for (const form of forms) {
      expect(form).toContain('filename="mayo.csv"')
      expect(form).toContain('\r\n\r\na;b\n1;2\n\r\n')
    }
    const terminal = () => Object.assign(Readable.from([]), { isTTY: true })
    const refused = await aduana(['import', '-', '-d', 'production'], { input: terminal })
    expect(refused).toMatchObject({ code: 1, err: expect.stringContaining('reads a file from a pipe') })
  })

  test('that is aborted while it reads standard input imports nothing and leaves nothing', async () => {
    let asked = 0
    handle = () => {
      asked += 1
    }
    const controller = new AbortController()
    // Never ends.
    const input = () =>
      new Readable({
        read() {
          this.push('x')
          controller.abort(new Interrupted('SIGINT'))
        },
      })
    const left = await leftBy(async () => {
      const result = await aduana(['import', '-', '-d', 'production'], { input, signal: controller.signal })
      expect(result.code).toBe(130)
    })
    expect([left, asked]).toEqual([[], 0])
  })

  test('exits with 3 if the job fails, and reports the reason', async () => {
    handle = importing(
      job({ status: 'FAILED', error: { code: 'no_records', detail: 'There are no records.' } }),
    )
    const result = await aduana(['import', await fileWith('a'), '-d', 'production', '--json'])
    expect(result.code).toBe(3)
    expect(JSON.parse(result.out)).toMatchObject({
      outcome: 'failed',
      exitCode: 3,
      job: { status: 'FAILED' },
    })
  })

  test.each([
    ['window_locked', 4],
    ['already_imported', 5],
    ['queue_full', 6],
    ['unauthenticated', 1],
    ['unknown_dataset', 1],
  ] as const)('exits as documented when the API returns %s', async (code, exitCode) => {
    handle = (request, response) => {
      request.resume()
      refuse(response, code)
    }
    const result = await aduana(['import', await fileWith('a'), '-d', 'production', '--json'])
    expect(result.code).toBe(exitCode)
    expect(result.err).toContain(`${PROBLEMS[code].title} (${code})`)
    expect(result.err).toContain('Because.')
    expect(JSON.parse(result.out)).toMatchObject({ exitCode, problem: { code } })
  })

  test('retries after the time that the API names, as often as configured', async () => {
    let asked = 0
    handle = (request, response) => {
      asked += 1
      request.resume()
      refuse(response, 'queue_full', { 'retry-after': '0' })
    }
    const result = await aduana(['import', await fileWith('a'), '-d', 'production', '--retry', '2'])
    expect(result.code).toBe(6)
    expect(asked).toBe(3)
  })

  test('sends the file again with the same key if the response is lost or the API fails', async () => {
    const keys: (string | string[] | undefined)[] = []
    const answered = importing(job({ status: 'COMPLETED', counts: { records: 1, loaded: 1 } }))
    handle = async (request, response) => {
      if (request.method !== 'POST') return answered(request, response)
      keys.push(request.headers['idempotency-key'])
      if (keys.length === 3) return answered(request, response)
      await text(request)
      if (keys.length === 1) request.socket.resetAndDestroy()
      else refuse(response, 'unavailable', { 'retry-after': '0' })
    }
    const result = await aduana(['import', await fileWith('a'), '-d', 'production'])
    expect(result.code).toBe(0)
    expect(result.err).toContain('Retrying')
    expect(keys[0]).toMatch(/^[0-9a-f-]{36}$/)
    expect(keys).toEqual([keys[0], keys[0], keys[0]])
    await aduana(['import', await fileWith('a'), '-d', 'production'])
    expect(keys[3]).not.toBe(keys[0])
  })

  test('gives up on an API that keeps failing', async () => {
    let asked = 0
    handle = (request, response) => {
      asked += 1
      request.resume()
      refuse(response, 'unavailable', { 'retry-after': '0' })
    }
    expect((await aduana(['import', await fileWith('a'), '-d', 'production'])).code).toBe(6)
    expect(asked).toBe(4)
  })

  test('receives a refusal before a large file is sent', async () => {
    handle = (_, response) => refuse(response, 'unsupported_type')
    const result = await aduana(['import', await fileWith('x'.repeat(20_000_000)), '-d', 'production'])
    expect(result).toMatchObject({ code: 3 })
    expect(result.err).toContain('(unsupported_type)')
  })

  test('does not cancel the job when it is interrupted', async () => {
    const controller = new AbortController()
    handle = (request, response) => {
      if (request.method === 'POST') return importing(job())(request, response)
      answer(response, 200, job({ status: 'PROCESSING', stage: 'load' }))
      controller.abort(new Interrupted('SIGINT'))
    }
    const result = await aduana(['import', await fileWith('a'), '-d', 'production'], {
      signal: controller.signal,
    })
    expect(result.code).toBe(130)
    expect(result.err).toContain(`the job continues. To follow it: aduana jobs ${JOB_ID} --follow`)
  })

  test('only sends the file with --no-wait', async () => {
    handle = importing(job())
    const result = await aduana(['import', await fileWith('a'), '-d', 'production', '--no-wait'])
    expect(result).toMatchObject({ code: 0 })
    expect(result.out).toContain(`accepted as job ${JOB_ID}`)
  })

  test('reports a missing file before it sends a request', async () => {
    const result = await aduana(['import', join(folder, 'nothing.csv'), '-d', 'production'])
    expect(result.code).toBe(1)
    expect(result.err).toContain('nothing.csv cannot be read: the file does not exist')
  })
})

describe('aduana', () => {
  test.each([
    [['import', 'x.csv'], "required option '-d, --dataset <dataset>'"],
    [['import', 'x.csv', '-d', 'p', '--from', '2026-02-30'], 'It must be a day'],
    [['import', 'x.csv', '-d', 'p', '--mode', 'merge'], 'Allowed choices'],
    [['import', 'x.csv', '-d', 'p', '--priority', '1.5'], 'whole number'],
    [['import', 'x.csv', '-d', 'p', '--start-at', 'soon'], 'It must be a time'],
    [['import', 'x.csv', '-d', 'p', '--encoding', 'ebcdic'], 'Allowed choices'],
    [['import', 'x.csv', '-d', 'p', '--delimiter', ';;'], 'It must be "tab"'],
    [['jobs', '--type', 'party'], 'Allowed choices'],
    [['jobs', '7'], 'It must be the id of a job'],
    [['jobs', '--status', 'DONE'], 'Allowed choices'],
    [['sample', '--out', 'x', '--dataset', 'nothing'], 'Allowed choices'],
    [['nothing'], "unknown command 'nothing'"],
  ])('refuses %j with the reason', async (args, message) => {
    const result = await aduana(args)
    expect(result.code).toBe(1)
    expect(result.err).toContain(message)
  })

  test('explains its exit codes in the help', async () => {
    const result = await aduana(['import', '--help'])
    expect(result.code).toBe(0)
    expect(result.out).toContain('4  another job has locked the window')
  })

  test('reports a missing login and an unavailable service', async () => {
    const nobody = await aduana(['jobs'], { env: { XDG_CONFIG_HOME: join(folder, 'empty') } })
    expect(nobody).toMatchObject({ code: 1 })
    expect(nobody.err).toContain('aduana login')
    const away = await aduana(['jobs'], { env: { ADUANA_URL: 'http://127.0.0.1:1', ADUANA_TOKEN: 't' } })
    expect(away).toMatchObject({ code: 6 })
    expect(away.err).toContain('cannot be reached')
  })

  test('lists jobs over several pages', async () => {
    const asked: string[] = []
    handle = (request, response) => {
      asked.push(request.url ?? '')
      answer(response, 200, { items: [job()], next: asked.length === 1 ? 'more' : null })
    }
    const result = await aduana(['jobs', '--status', 'queued', '--limit', '9', '--json'])
    expect(JSON.parse(result.out)).toHaveLength(2)
    expect(asked).toEqual(['/api/jobs?status=QUEUED&limit=9', '/api/jobs?status=QUEUED&cursor=more&limit=8'])
  })

  test('stores a login that only its user can read, and never sends it elsewhere', async () => {
    const env = { XDG_CONFIG_HOME: folder }
    const user = {
      userId: JOB_ID,
      email: 'ana@example.com',
      role: 'operator',
      tenant: 'default',
      companies: null,
      warehouses: null,
    }
    let asked = ''
    handle = (request, response) => {
      if (request.method === 'POST')
        return answer(response, 200, { token: 'secret', expiresAt: '2100-01-01T00:00:00.000Z', user })
      asked = request.headers.authorization ?? ''
      answer(response, 200, { items: [], next: null })
    }
    const login = ['login', '--url', url, '--email', 'ana@example.com', '--password', 'pw']
    expect(await aduana(login, { env })).toMatchObject({ code: 0 })
    const path = join(folder, 'aduana', 'session.json')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(JSON.parse(await readFile(path, 'utf8'))).toMatchObject({ url, token: 'secret' })
    expect(await aduana(['jobs'], { env })).toMatchObject({ code: 0 })
    expect(asked).toBe('Bearer secret')
    const elsewhere = await aduana(['jobs'], { env: { ...env, ADUANA_URL: 'http://127.0.0.1:1' } })
    expect(elsewhere).toMatchObject({ code: 1 })
    expect(elsewhere.err).toContain('You are logged in at')
  })

  test('uses the name under which it was called', () => {
    expect(programName('/usr/local/bin/aduana', '/home/ana')).toBe('aduana')
    expect(programName('/srv/aduana/apps/cli/dist/main.js', '/srv/aduana')).toBe('node apps/cli/dist/main.js')
    expect(programName('/srv/aduana/apps/cli/dist/main.js', '/tmp')).toBe(
      'node /srv/aduana/apps/cli/dist/main.js',
    )
  })
})
