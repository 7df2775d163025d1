import { AtollError, type Host } from '@atoll/host'
import type { Statement, Transaction, Value } from '@atoll/store/driver'
import type { z } from 'zod'
import type { EventDefinition } from '../../contract/event.ts'
import type { Emitter } from '../relay/emission.ts'
import { insertEvent, toOutboxEvent, type OutboxEvent } from '../relay/outbox.ts'
import { deleteTimer } from '../relay/timers.ts'
import { toData } from './envelope.ts'
import type { Ids } from './ids.ts'
import { flawOfKey, unfitKey } from './key.ts'
import { partitionOf } from './partition.ts'
import { emptyPosition, mergeOrders, type Position } from '../position.ts'

const insertTimer: Statement = {
  sql: `INSERT INTO atoll_timers (id, due_at, delay_ms, partition, type, version, key, data, trace, cause) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
}

/** Where an event of this handling comes from: its trace, the id of what led to it, and its own id. */
export interface Origin {
  readonly trace: string
  readonly cause: string
  readonly ids: Ids
  /** What was sent, if this handles that. */
  readonly input: unknown
  /** A client sent that. */
  readonly isFromClient: boolean
}

/**
 * What one transaction wants to leave behind besides state: events and timers. Written when its work has ended well.
 */
export class Outgoing {
  readonly #events: Value[][] = []
  readonly #timers: Value[][] = []
  readonly #host: Host
  readonly #service: string
  readonly #declared: ReadonlySet<EventDefinition>
  readonly #partitions: number
  readonly #dataBytesMax: number
  readonly #faults: Emitter['faults']
  readonly #origin: Origin

  constructor({ host, name, declared, partitions, eventBytesMax, faults }: Emitter, origin: Origin) {
    this.#host = host
    this.#service = name
    this.#declared = declared
    this.#partitions = partitions
    this.#dataBytesMax = eventBytesMax
    this.#faults = faults
    this.#origin = origin
  }

  emit(event: EventDefinition, data: unknown): void {
    const { key, json } = this.#check(event, data)
    this.#events.push([
      partitionOf(key, this.#partitions),
      this.#origin.ids.next('event'),
      event.name,
      event.version,
      key,
      this.#host.now(),
      json,
      this.#origin.trace,
      this.#origin.cause,
    ])
  }

  schedule(event: EventDefinition, data: unknown, when: { afterMs: number } | { at: number }): string {
    const { key, json } = this.#check(event, data)
    const dueAt = 'at' in when ? when.at : this.#host.now() + when.afterMs
    const dueMs = Math.ceil(dueAt)
    const delayMs = 'at' in when ? null : Math.ceil(when.afterMs)
    if (!Number.isSafeInteger(dueMs) || !Number.isSafeInteger(delayMs ?? 0))
      throw new AtollError(
        'EVENT_INVALID',
        `${event.name} cannot be scheduled at ${dueAt}: give afterMs or at in milliseconds`,
      )
    const id = this.#origin.ids.next('timer')
    this.#timers.push([
      id,
      dueMs,
      delayMs,
      partitionOf(key, this.#partitions),
      event.name,
      event.version,
      key,
      json,
      this.#origin.trace,
      this.#origin.cause,
    ])
    return id
  }

  /**
   * Resolves with whether the timer was there: firing deletes it as well, and no two transactions of a store find the
   * same row.
   */
  cancel(tx: Transaction, timerId: string): Promise<boolean> {
    const own = this.#timers.findIndex(([id]) => id === timerId)
    if (own >= 0) return Promise.resolve(this.#timers.splice(own, 1).length > 0)
    const wasThere = tx.run(deleteTimer, [timerId]).then((count) => count > 0)
    wasThere.catch(() => undefined) // a handler need not wait for it; the transaction fails with it all the same
    return wasThere
  }

  /** Whether there is nothing to write. */
  get isEmpty(): boolean {
    return this.#events.length === 0 && this.#timers.length === 0
  }

  get hasEvents(): boolean {
    return this.#events.length > 0
  }

  get hasTimers(): boolean {
    return this.#timers.length > 0
  }

  /** The events as {@link write} left them in the outbox. Good for the relay once the transaction has committed. */
  readonly written: OutboxEvent[] = []

  /**
   * Writes it all. Resolves with the position of the events; it is complete by the time of the commit, and at once if
   * it is to be `known`.
   */
  async write(tx: Transaction, known: boolean): Promise<Position> {
    if (this.#timers.length > 0) await tx.runEach(insertTimer, this.#timers)
    if (this.#events.length === 0) return emptyPosition
    const partitions: Record<number, string> = {}
    for (const row of this.#events) {
      if (known) this.#place(row, await tx.insert(insertEvent, row), partitions)
      else tx.send(insertEvent, row, (seq) => this.#place(row, seq, partitions))
    }
    return { [this.#service]: partitions }
  }

  #place(row: readonly Value[], seq: number, partitions: Record<number, string>): void {
    const event = toOutboxEvent(seq, row)
    this.written.push(event)
    const before = partitions[event.partition]
    partitions[event.partition] = before === undefined ? String(seq) : mergeOrders(before, String(seq))
  }

  #check(event: EventDefinition, data: unknown): { key: string; json: string } {
    if (!this.#declared.has(event)) {
      throw new AtollError(
        'EVENT_UNDECLARED',
        `service ${this.#service} emits ${event.name}, which is not among the events of its contract or its own`,
      )
    }
    const checked = parseData(event, data)
    if (!checked.success) {
      throw new AtollError('EVENT_INVALID', `${event.name} does not fit its schema: ${checked.error.message}`, {
        cause: checked.error,
      })
    }
    const key = event.key(checked.data)
    const flaw = flawOfKey(key)
    if (flaw !== undefined) {
      const { input: sent, isFromClient, cause } = this.#origin
      throw unfitKey(event.name, key, flaw, { sent, isFromClient, cause, service: this.#service, faults: this.#faults })
    }
    const json = toData(event, checked.data)
    // A character is at most three bytes; most data need not be measured. What the log refuses would stop everything
    // behind it.
    if (json.length * 3 > this.#dataBytesMax && Buffer.byteLength(json) > this.#dataBytesMax) {
      throw new AtollError(
        'EVENT_TOO_LARGE',
        `the data of ${event.name} has ${Buffer.byteLength(json)} bytes, and the log takes ${this.#dataBytesMax}`,
      )
    }
    return { key, json }
  }
}

function parseData(event: EventDefinition, data: unknown): z.ZodSafeParseResult<unknown> {
  try {
    return event.data.safeParse(data)
  } catch (error) {
    throw new AtollError('EVENT_INVALID', `${event.name} cannot be read as it is emitted: its schema threw on it`, {
      cause: error,
    })
  }
}
