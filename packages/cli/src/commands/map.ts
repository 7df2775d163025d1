import { writeFileSync } from 'node:fs'
import { AtollError } from '@atoll/host'
import { loadSystem } from '../load.ts'
import { flowOf } from '../map/flow.ts'
import { flowAsSvg } from '../map/svg.ts'
import { flowAsText } from '../map/text.ts'
import { toVisibleJson, toVisibleLines } from '../visible.ts'

/** `atoll map`. Needs no running system: the flow is read off the system's value. */
export async function map(module: string | undefined, options: { svg?: string; json?: boolean }): Promise<void> {
  if (module === undefined)
    throw new AtollError('COMMAND_USAGE', 'name the module of the system: atoll map src/system.ts')
  const flow = flowOf((await loadSystem(module)).system)
  if (options.svg !== undefined) {
    try {
      writeFileSync(options.svg, flowAsSvg(flow))
    } catch (error) {
      throw new AtollError(
        'COMMAND_USAGE',
        `${options.svg} cannot be written: ${error instanceof Error ? error.message : String(error)}`,
      )
    }
    if (!options.json) console.log(`drawn into ${options.svg}`)
  }
  if (options.json) console.log(toVisibleJson(flow))
  else if (options.svg === undefined) console.log(toVisibleLines(flowAsText(flow)))
}
