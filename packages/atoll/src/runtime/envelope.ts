import { AtollError } from '@atoll/host'
import type { LogRecord } from '@atoll/log/driver'
import type { EventDefinition } from '../contract/event.ts'
import type { ReceivedEvent } from '../service/context.ts'

/** What makes an event, whether it comes from the log or from the table of held events. */
export interface Envelope extends LogRecord {
  readonly source: string
}

/** The event as handlers see it: parsed, lifted to the present version, checked. EVENT_UNREADABLE if no version understands it. */
export function openEnvelope(envelope: Envelope, event: EventDefinition): ReceivedEvent<unknown> {
  const { version } = envelope
  if (version > event.version) {
    throw unreadable(envelope, `it has version ${version}, and this code knows ${event.version} at the most`)
  }
  let data: unknown
  try {
    data = JSON.parse(envelope.data)
    for (let at = version; at < event.version; at++) data = event.upcasters[at]!(data)
    data = event.data.parse(data)
  } catch (error) {
    throw unreadable(envelope, `its data does not fit version ${event.version}`, error)
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
