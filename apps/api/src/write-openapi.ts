import { mkdir, writeFile } from 'node:fs/promises'
import { OPENAPI_FILE, openApiDocument } from './openapi-document.ts'

await mkdir(new URL('.', OPENAPI_FILE), { recursive: true })
await writeFile(OPENAPI_FILE, await openApiDocument())
