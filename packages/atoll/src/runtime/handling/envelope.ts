import { AtollError } from '@atoll/host'
import type { LogRecord } from '@atoll/log/driver'
import type { EventDefinition } from '../../contract/event.ts'
import { describeFlaw, lookAt, toExactJson } from '../../contract/json-value.ts'
import type { ReceivedEvent } from '../../service/context.ts'

/** What makes an event, whether it comes from the log or from the table of held events. */
export interface Envelope extends LogRecord {
  readonly source: string
}

/**
 * What is kept of an event's data, parsed already: what every reader will read as it is here. EVENT_INVALID if one
 * would read something else.
 */
export function toData({ name, data: schema, trust }: EventDefinition, data: unknown): string {
  if (trust === 'as it is') return JSON.stringify(data)
  const { flaw, hasMinusZero } = lookAt(data, trust === 'looked at')
  if (flaw)
    throw new AtollError('EVENT_INVALID', `${name} cannot be read as it is emitted. ${describeFlaw(flaw, 'data')}`)
  const json = toExactJson(data, hasMinusZero)
  if (trust === 'looked at') return json
  const read = schema.safeParse(JSON.parse(json))
  if (!read.success)
    throw new AtollError(
      'EVENT_INVALID',
      `${name} cannot be read as it is emitted: its schema refuses what it has made of the data itself: ${read.error.message}`,
      { cause: read.error },
    )
  const again = lookAt(read.data, false)
  if (again.flaw || toExactJson(read.data, again.hasMinusZero) !== json) {
    throw new AtollError(
      'EVENT_INVALID',
      `${name} cannot be read as it is emitted: its schema changes its data when it is emitted, and once more when it is read. Do that before emit, and describe in the schema what it has become`,
    )
  }
  return json
}

/**
 * The event as handlers see it: parsed, lifted to the present version, checked. EVENT_UNREADABLE if no version
 * understands it.
 */
export function openEnvelope(envelope: Envelope, event: EventDefinition): ReceivedEvent<unknown> {
  const { version } = envelope
  if (version > event.version) {
    throw unreadable(envelope, `it has version ${version}, and this code knows ${event.version} at the most`)
  }
  let data: unknown
  try {
    data = JSON.parse(envelope.data)
    for (let at = version; at < event.version; at++) {
      const upcaster = event.upcasters[at]! // the definition was refused without it
      data = upcaster.lift(upcaster.from.parse(data))
    }
    data = event.data.parse(data)
    if (version < event.version) toData(event, data) // what upcasters gave was never emitted
  } catch (error) {
    throw unreadable(
      envelope,
      `its data does not fit version ${event.version}${error instanceof AtollError ? `: ${error.reason}` : ''}`,
      error,
    )
  }
  return {
    id: envelope.id,
    type: envelope.type,
    version: event.version,
    key: envelope.key,
    data,
    at: envelope.at,
    source: envelope.source,
    trace: envelope.trace,
  }
}

function unreadable(envelope: Envelope, why: string, cause?: unknown): AtollError {
  return new AtollError('EVENT_UNREADABLE', `cannot read ${envelope.type} ${envelope.id}: ${why}`, { cause })
}
