import { AtollError } from '@atoll/host'
import { isGone, type Admin, type DiscardOptions, type EventsOptions, type RedriveOptions } from 'atoll/runtime'

/** What one asks of a running system, one JSON object on a line. */
export type ControlRequest =
  | { readonly verb: 'ledger' }
  | { readonly verb: 'events'; readonly options: Omit<EventsOptions, 'signal'> }
  | { readonly verb: 'dead-letters'; readonly subscription?: string | undefined; readonly id?: string | undefined }
  | { readonly verb: 'redrive'; readonly options: RedriveOptions }
  | { readonly verb: 'discard'; readonly options: DiscardOptions }
  | { readonly verb: 'discarded'; readonly subscription?: string | undefined; readonly id?: string | undefined }
  | { readonly verb: 'replay'; readonly subscription: string }

/** What comes back: items as they come, then an end; or an error. One JSON object on a line each. */
export type ControlReply =
  | { readonly item: unknown }
  | { readonly end: true }
  | { readonly error: { readonly code: string; readonly message: string } }

/** Whether a request needs a system that runs; the others only look. */
export function handlesEvents({ verb }: ControlRequest): boolean {
  return verb === 'redrive' || verb === 'discard' || verb === 'replay'
}

/** Runs a request on a system. */
export async function* answer(admin: Admin, request: ControlRequest, signal: AbortSignal): AsyncGenerator<unknown> {
  switch (request.verb) {
    case 'ledger':
      yield* await admin.ledger()
      return
    case 'events':
      yield* admin.events({ ...request.options, signal })
      return
    case 'dead-letters':
      for await (const letter of admin.walkDeadLetters({ subscription: request.subscription, id: request.id }))
        if (!isGone(letter)) yield letter
      return
    case 'redrive':
      yield* admin.redrive(request.options)
      return
    case 'discard':
      yield* admin.discard(request.options)
      return
    case 'discarded':
      yield* admin.walkDiscarded({ subscription: request.subscription, id: request.id })
      return
    case 'replay':
      yield* admin.replay(request.subscription)
      return
    default:
      throw new AtollError(
        'COMMAND_USAGE',
        `the running system does not know what ${JSON.stringify(request)} asks for; is it of another version?`,
      )
  }
}
