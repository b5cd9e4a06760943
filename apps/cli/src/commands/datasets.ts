import { listDatasets } from '../api/calls.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import type { Io } from '../io.ts'
import { openApi } from '../session.ts'
import { renderTable } from '../show/table.ts'

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
