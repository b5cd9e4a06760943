import { listDatasets, readDataset, saveDataset } from '../api/calls.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import type { Io } from '../io.ts'
import { openApi } from '../session.ts'
import { renderTable } from '../show/table.ts'
import { type SaveOptions, saveDefinition } from './definition-file.ts'

/** `aduana datasets`: what can be imported. */
export async function datasetsCommand(io: Io, options: { json?: boolean }): Promise<ExitCode> {
  const datasets = await listDatasets(await openApi(io))
  const rows = datasets.map(({ code, title, loadMode, version }) => [
    code,
    title.en,
    loadMode,
    String(version),
  ])
  const columns = [
    { title: 'dataset' },
    { title: 'title' },
    { title: 'load mode' },
    { title: 'version', right: true },
  ]
  io.out(options.json ? JSON.stringify(datasets) : renderTable(columns, rows))
  return EXIT.loaded
}

/** `aduana datasets <code>`: one dataset; as JSON its definition, as `aduana dataset save` takes it. */
export async function showDatasetCommand(
  io: Io,
  code: string,
  options: { json?: boolean },
): Promise<ExitCode> {
  const dataset = await readDataset(await openApi(io), code)
  const { definition, version, asShipped } = dataset
  if (options.json) io.out(JSON.stringify(definition, null, 2))
  else {
    const { schema, name } = definition.table
    const shipped = asShipped === null ? 'not shipped' : asShipped ? 'as shipped' : 'changed since shipped'
    const rows = definition.columns.map((column) => [
      column.name,
      column.type,
      column.required ? 'required' : '',
      column.aliases.join(', '),
    ])
    const columns = [{ title: 'column' }, { title: 'type' }, { title: '' }, { title: 'also called' }]
    io.out(
      `${code}: ${definition.title.en}\nversion ${version}, ${shipped}; ${definition.loadMode} into ${schema}.${name}\n\n${renderTable(columns, rows)}`,
    )
  }
  return EXIT.loaded
}

/** `aduana dataset save <file>`: make the definition in a file the next version of its dataset. */
export function saveDatasetCommand(io: Io, file: string, options: SaveOptions): Promise<ExitCode> {
  return saveDefinition(io, file, options, saveDataset)
}
