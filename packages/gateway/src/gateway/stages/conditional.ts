import type { Dispatched } from 'atoll/runtime'
import { headerOf } from '../exchange.ts'
import { readCondition, readIfNew, underIfMatch } from './conditions.ts'
import type { Timed } from './deadline.ts'
import { note, type Stage } from './stage.ts'

/** What a command is to be done under. Of a query, the answer is held against its conditions. */
export interface Conditional extends Timed {
  readonly ifMatch: string | undefined
  readonly ifNoneMatch: '*' | undefined
}

/** Reads If-Match and If-None-Match of a command, and has it tried with each version that they allow. */
export function conditional(): Stage<Timed, Conditional, Dispatched, Dispatched> {
  return (next) => async (exchange) => {
    const {
      request: { headers },
      target: { operation },
    } = exchange
    if (operation.kind !== 'command') return next(note(exchange, { ifMatch: undefined, ifNoneMatch: undefined }))
    const ifMatch = readCondition('If-Match', headerOf(headers['if-match']))
    const ifNoneMatch = readIfNew(headerOf(headers['if-none-match']))
    return underIfMatch(ifMatch, (version) => next(note(exchange, { ifMatch: version, ifNoneMatch })))
  }
}
