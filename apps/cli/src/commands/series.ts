import { listSeries, saveSeries } from '../api/metric-calls.ts'
import { UsageError } from '../errors.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import type { Io } from '../io.ts'
import { openApi } from '../session.ts'
import { renderTable, shortened } from '../show/table.ts'
import { type SaveOptions, saveDefinition } from './definition-file.ts'

/** `aduana series`: what metrics are made of. */
export async function listSeriesCommand(io: Io, options: { json?: boolean }): Promise<ExitCode> {
  const series = await listSeries(await openApi(io))
  const table = renderTable(
    [
      { title: 'series' },
      { title: 'title' },
      { title: 'dataset' },
      { title: 'column' },
      { title: 'unit' },
      { title: 'version', right: true },
    ],
    series.map(({ code, title, dataset, column, unit, version }) => [
      code,
      shortened(title.en, 40),
      dataset,
      column ?? '(rows)',
      unit ?? '',
      String(version),
    ]),
  )
  io.out(options.json ? JSON.stringify(series) : series.length === 0 ? 'There are no series.' : table)
  return EXIT.loaded
}

/** `aduana series <code>`: the definition of one series as JSON, as `aduana series save` takes it. */
export async function showSeriesCommand(io: Io, code: string): Promise<ExitCode> {
  const found = (await listSeries(await openApi(io))).find((one) => one.code === code)
  if (!found) throw new UsageError(`There is no series "${code}". To list the series: ${io.program} series`)
  const { version: _, ...definition } = found
  io.out(JSON.stringify(definition, null, 2))
  return EXIT.loaded
}

/** `aduana series save <file>`: make the definition in a file the next version of its series. */
export function saveSeriesCommand(io: Io, file: string, options: SaveOptions): Promise<ExitCode> {
  return saveDefinition(io, file, options, (api, code, { code: _, ...definition }, seen) =>
    saveSeries(api, code, definition, seen),
  )
}
