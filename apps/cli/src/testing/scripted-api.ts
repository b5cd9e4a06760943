import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'
import { type Captured, runCaptured } from './run-captured.ts'

/** A server with scripted responses, and the command line that uses it. */
export interface ScriptedApi {
  url: string
  /** The requests since `forget`: method, path, condition if there is one, and body. */
  asked(): readonly string[]
  /** Sets the response for a path. Other paths get 404. */
  answer(path: string, body: unknown, status?: number): void
  forget(): void
  /** Runs `aduana` with these arguments. */
  aduana(...args: string[]): Promise<Captured>
  close(): Promise<void>
}

/** Starts a server on a free port. */
export async function openScriptedApi(): Promise<ScriptedApi> {
  let asked: string[] = []
  const answers = new Map<string, { status: number; body: unknown }>()
  const server = createServer(async (request, response) => {
    const path = request.url?.split('?', 1)[0] ?? ''
    const { 'if-match': condition } = request.headers
    const parts = [request.method, request.url, condition && `If-Match ${condition}`, await text(request)]
    asked.push(parts.filter(Boolean).join(' '))
    const { status, body } = answers.get(path) ?? { status: 404, body: {} }
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
  return {
    url,
    asked: () => asked,
    answer: (path, body, status = 200) => void answers.set(path, { status, body }),
    forget: () => {
      asked = []
      answers.clear()
    },
    aduana: (...args) => runCaptured(args, { env: { ADUANA_URL: url, ADUANA_TOKEN: 'a-token' } }),
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
