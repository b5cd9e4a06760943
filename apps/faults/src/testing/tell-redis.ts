import { connect } from 'node:net'

/** Say commands to a Redis on a connection of their own, and answer all that it says. @throws when it cannot be reached */
export function tell(url: string, ...commands: string[]): Promise<string> {
  const { hostname, port, password } = new URL(url)
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket = connect({ host: hostname, port: Number(port) })
    socket.on('data', (chunk) => {
      answer += chunk.toString()
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(answer))
    socket.write([`AUTH ${password}`, ...commands, 'QUIT', ''].join('\r\n'))
  })
}
