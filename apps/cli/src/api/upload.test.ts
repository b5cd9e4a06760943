import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openFiles } from '@aduana/testkit/open-files'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { uploadImport } from './upload.ts'

let folder: string
let path: string
let server: Server | undefined
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aduana-upload-'))
  path = join(folder, 'large.csv')
  // More than all buffers on the way hold.
  await writeFile(path, Buffer.alloc(32 << 20, 'x'))
})
afterEach(async () => {
  server?.closeAllConnections()
  server?.close()
  await rm(folder, { recursive: true, force: true })
})

/** Sends the file to a server with this behavior. */
async function upload(behave: RequestListener, signal = new AbortController().signal) {
  server = createServer(behave).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
  return uploadImport(
    { url, token: undefined, signal },
    { path, name: 'large.csv' },
    { dataset: 'd' },
    'key',
    () => undefined,
  )
}

describe('a file that is sent is closed', () => {
  test('when the API refuses it before all of it has been sent', async () => {
    const problem = { type: 'x', title: 'No', status: 413, code: 'file_too_large', detail: 'Too large.' }
    const sending = upload((_request, response) => {
      response.writeHead(413, { 'content-type': 'application/problem+json' }).end(JSON.stringify(problem))
    })
    await expect(sending).rejects.toMatchObject({ name: 'ApiProblem', message: 'Too large.' })
    await expect.poll(() => openFiles(folder)).toEqual([])
  })

  test('when the connection breaks', async () => {
    const sending = upload((request) => {
      request.once('data', () => request.socket.destroy())
    })
    await expect(sending).rejects.toMatchObject({ name: 'ConnectionError' })
    await expect.poll(() => openFiles(folder)).toEqual([])
  })

  test('when the upload is aborted', async () => {
    const leave = new AbortController()
    const sending = upload((request) => {
      request.once('data', () => leave.abort())
    }, leave.signal)
    await expect(sending).rejects.toThrow()
    await expect.poll(() => openFiles(folder)).toEqual([])
  })

  test('when it changes meanwhile, which is reported', async () => {
    const sending = upload(async (request) => {
      await once(request, 'data')
      await writeFile(path, 'short')
      request.resume()
    })
    await expect(sending).rejects.toThrow(/changed during the upload/)
    await expect.poll(() => openFiles(folder)).toEqual([])
  })
})
