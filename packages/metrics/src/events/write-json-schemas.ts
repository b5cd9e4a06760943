import { mkdir, writeFile } from 'node:fs/promises'
import { publishedSchemas, SCHEMAS_FOLDER } from './json-schemas.ts'

await mkdir(SCHEMAS_FOLDER, { recursive: true })
for (const [name, text] of publishedSchemas()) await writeFile(new URL(name, SCHEMAS_FOLDER), text)
