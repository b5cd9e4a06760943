// For `node --import`: a worker whose loads keep nothing of what they replace, to compare with.
import { register } from 'node:module'

const HOOK = `
export async function load(url, context, next) {
  const loaded = await next(url, context)
  if (!/4-load\\/(before-image|write-rows)\\.js$/.test(url)) return loaded
  const source = String(loaded.source)
  const changed = url.endsWith('before-image.js')
    ? source.replace('const image = imageOfReplaced(job, replaced)', 'const image = Promise.resolve({ rows: 0, file: undefined })')
    : source.replace('gone !== written.image.rows', 'false')
  if (changed === source) throw new Error('nothing to leave out in ' + url)
  return { ...loaded, source: changed }
}`
register(`data:text/javascript,${encodeURIComponent(HOOK)}`)
