import { AtollError } from '@atoll/host'
import { engineNames, type EngineName } from './url.ts'

/** The engines that a command line names. Throws if there is none of that name. */
export function toNames(texts: readonly string[]): EngineName[] {
  return texts.map((text) => {
    const name = engineNames.find((known) => known === text)
    if (name) return name
    throw new AtollError('COMMAND_USAGE', `there is no engine '${text}'; there are ${engineNames.join(', ')}`)
  })
}

/** What went wrong, for people: with a stack only if nobody expected it. */
export function toText(error: unknown): string {
  if (error instanceof AtollError) return error.reason
  if (!(error instanceof Error)) return String(error)
  return 'code' in error ? error.message : (error.stack ?? error.message)
}
