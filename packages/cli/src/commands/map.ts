import { writeFileSync } from 'node:fs'
import { AtollError } from '@atoll/host'
import { loadSystem } from '../load.ts'
import { flowOf } from '../map/flow.ts'
import { flowAsSvg } from '../map/svg.ts'
import { flowAsText } from '../map/text.ts'
import { notedSystem } from '../start.ts'

/** `atoll map`. Needs no running system: the flow is read off the system's value. */
export async function map(module: string | undefined, options: { data: string; svg?: string; json?: boolean }): Promise<void> {
  const found = module ?? notedSystem(options.data)
  if (found === undefined) throw new AtollError('COMMAND_USAGE', 'name the module of the system: atoll map src/system.ts')
  const flow = flowOf((await loadSystem(found)).system)
  if (options.svg !== undefined) writeFileSync(options.svg, flowAsSvg(flow))
  if (options.json) console.log(JSON.stringify(flow))
  else if (options.svg === undefined) console.log(flowAsText(flow))
}
