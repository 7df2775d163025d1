import { describeConfig, loadConfig, type Config } from '../config/config.ts'
import { formatTable } from '../table.ts'
import { toVisibleJson } from '../visible.ts'

/** `atoll config`: every setting, its value, and where that comes from. */
export function config(options: { config?: string; json?: boolean }): void {
  printConfig(loadConfig({ file: options.config }), options.json ?? false)
}

export function printConfig(config: Config, asJson: boolean): void {
  const rows = describeConfig(config)
  if (asJson) for (const row of rows) console.log(toVisibleJson(row))
  else
    console.log(
      formatTable(
        ['setting', 'value', 'from', 'variable'],
        rows.map(({ key, value, from, variable }) => [key, value, from, variable]),
      ),
    )
}
