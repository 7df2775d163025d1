import { AtollError } from '@atoll/host'
import type { Queries, Statement, Transaction } from '@atoll/store/driver'
import type { Envelope } from '../handling/envelope.ts'
import type { Cursor } from './cursor.ts'
import type { CursorBook } from './cursor-book.ts'
import type { SubscriptionGround } from './ground.ts'
import type { HeldEvent } from './held.ts'

const selectEnds: Statement = { sql: 'SELECT ends FROM atoll_ends WHERE subscription = ? AND partition = ?' }
const selectTries: Statement = {
  sql: 'SELECT source, number, attempt FROM atoll_tries WHERE subscription = ? AND partition = ?',
}
const selectDue: Statement = {
  sql: `SELECT source, number FROM atoll_held WHERE subscription = ? AND partition = ? AND state = 'retrying' AND due_at <= ?`,
}
const insertTry: Statement = {
  sql: `INSERT INTO atoll_tries (subscription, partition, source, number, attempt) VALUES (?, ?, ?, ?, ?)
        ON CONFLICT (subscription, partition, source, number) DO UPDATE SET attempt = excluded.attempt`,
}
const deleteTry: Statement = {
  sql: 'DELETE FROM atoll_tries WHERE subscription = ? AND partition = ? AND source = ? AND number = ?',
}
const deleteEnds: Statement = { sql: 'DELETE FROM atoll_ends WHERE subscription = ? AND partition = ?' }

/** What names an event in one partition. */
export type EventPlace = Pick<Envelope, 'source' | 'number'>

/** A try that was noted before it began, and under which the process ended. */
export interface CutOffTry extends EventPlace {
  /** Which try of the event it was, if it was tried alone; {@link AMONG_OTHERS} if not. */
  readonly attempt: number
}

/** How an event is tried that may have ended the process: `noted` beside others, or `alone` in its process. */
export type Care = 'noted' | 'alone' | undefined

/**
 * What one partition is careful about after an owner ended without giving it up: some event may have ended it. The
 * events that may have been in hand are noted before they are tried again. If the process ends once more, those whose
 * notes are found are few: each of them is tried alone in its process, and noted so. A note of that kind that is found
 * when the partition is opened says which event ended the process: it has used up that try.
 *
 * It is over when all that may have been in hand is settled. A partition whose owner gave it up pays for none of this.
 */
export class Caution {
  readonly #ground: SubscriptionGround
  readonly #partition: number
  /** An owner before has ended without giving it up, and what may have been in hand then is not settled. */
  #followsEnd = false
  #isEnding = false
  /** Of each cursor: how many events that may have been in hand are still to come. */
  readonly #ahead = new Map<Cursor, number>()
  /** Held events that may have been in hand, and have not been tried since. */
  readonly #heldSuspects = new Set<string>()
  /** Events that the process ended under while they were tried beside others, and those that were tried alone. */
  readonly #accused = new Map<string, EventPlace>()
  readonly #cutOff = new Map<string, EventPlace>()
  /** Tries that are noted. */
  readonly #noted = new Set<string>()

  constructor(ground: SubscriptionGround, partition: number) {
    this.#ground = ground
    this.#partition = partition
  }

  /** Whether there is anything to be careful about; nearly never. */
  get isOn(): boolean {
    return this.#followsEnd || this.#noted.size > 0
  }

  /**
   * Reads what the owners before have left, in the transaction that opens the partition; answers the tries that were
   * cut off.
   */
  async open(queries: Queries): Promise<readonly CutOffTry[]> {
    const here = [this.#ground.name, this.#partition]
    this.#followsEnd = (await queries.get(selectEnds, here)) !== undefined
    if (!this.#followsEnd) return []
    const [due, tries] = [
      await queries.all<EventPlace>(selectDue, [...here, this.#ground.host.now()]),
      await queries.all<CutOffTry>(selectTries, here),
    ]
    for (const place of due) this.#heldSuspects.add(idOf(place))
    for (const one of tries) (one.attempt === AMONG_OTHERS ? this.#accused : this.#cutOff).set(idOf(one), one)
    return tries.filter(({ attempt }) => attempt !== AMONG_OTHERS)
  }

  /** Begins to count what comes on these cursors. */
  begin(cursors: readonly Cursor[]): void {
    const { batched, options } = this.#ground
    const left = batched ? options.readBatchMax : options.handlingsInFlightMax
    if (this.#followsEnd) for (const cursor of cursors) this.#ahead.set(cursor, left)
  }

  /** Counts the next event of a cursor, and answers how it is to be tried. */
  careFor(cursor: Cursor, event: EventPlace): Care {
    const left = this.#ahead.get(cursor) ?? 0
    if (left > 0) this.#ahead.set(cursor, left - 1)
    if (this.isAccused(event)) return 'alone'
    // the note of one that was cut off says which try that was
    return left > 0 && !this.wasCutOff(event) ? 'noted' : undefined
  }

  /** The same of an event that is held and due. */
  careForHeld(event: HeldEvent): Care {
    if (event.errorCode === 'PROCESS_ENDED' || this.isAccused(event)) return 'alone'
    return this.#heldSuspects.has(idOf(event)) ? 'noted' : undefined
  }

  /** Whether the process ended under a try of this event, alone or beside others. */
  isNamed(event: EventPlace): boolean {
    return this.isAccused(event) || this.wasCutOff(event)
  }

  /** Whether the process ended while this event was tried beside others. */
  isAccused(event: EventPlace): boolean {
    return this.#accused.has(idOf(event))
  }

  /** Whether the process ended under a try of this event that nobody has counted yet. */
  wasCutOff(event: EventPlace): boolean {
    return this.#cutOff.has(idOf(event))
  }

  /** A held event has been tried, or is held no longer. */
  tried(event: EventPlace): void {
    this.#heldSuspects.delete(idOf(event))
  }

  /** Notes in `tx` that tries are about to begin. Counts when that has committed. */
  async note(tx: Transaction, events: readonly EventPlace[], attempt: number): Promise<void> {
    for (const event of events) this.#noted.add(idOf(event))
    const rows = events.map(({ source, number }) => [this.#ground.name, this.#partition, source, number, attempt])
    await tx.runEach(insertTry, rows)
  }

  /** Takes the note of a try away in `tx`, in which its outcome commits. */
  async settle(tx: Transaction, event: EventPlace): Promise<void> {
    const id = idOf(event)
    if (!this.#noted.has(id) && !this.#cutOff.has(id) && !this.#accused.has(id)) return
    await tx.run(deleteTry, [this.#ground.name, this.#partition, event.source, event.number])
  }

  /** That transaction has committed. */
  settled(event: EventPlace): void {
    const id = idOf(event)
    for (const known of [this.#noted, this.#cutOff, this.#accused]) known.delete(id)
  }

  /**
   * Whether all that may have been in hand is settled. `isIdle`: everything that there is has been read, and nothing is
   * in hand.
   */
  mayEnd(isIdle: boolean): boolean {
    if (!this.#followsEnd || this.#isEnding || this.#heldSuspects.size + this.#noted.size > 0) return false
    return isIdle || (this.#accused.size === 0 && [...this.#ahead].every(([cursor, left]) => cursor.done || left === 0))
  }

  /** Ends it: the next end of an owner is the first again. */
  async end(book: CursorBook): Promise<void> {
    this.#isEnding = true
    const here = [this.#ground.name, this.#partition]
    try {
      const isOver = await this.#ground.store.write(async (tx) => {
        await book.check(tx)
        if (this.#noted.size > 0) return false // a held event has become due meanwhile, and is tried
        await tx.run(deleteEnds, here)
        await tx.runEach(
          deleteTry,
          [...this.#accused.values(), ...this.#cutOff.values()].map(({ source, number }) => [...here, source, number]),
        ) // of events that are handled here no more
        return true
      })
      if (!isOver) return
      this.#followsEnd = false
      for (const known of [this.#ahead, this.#accused, this.#cutOff]) known.clear()
    } finally {
      this.#isEnding = false
    }
  }
}

/** What an event has failed with that ended its process. */
export function processEnded({ type }: Pick<Envelope, 'type'>): AtollError {
  return new AtollError(
    'PROCESS_ENDED',
    `the process ended while ${type} was being tried, and no other event that was in hand when it ended before; look at the last lines that it wrote`,
  )
}

/** In a note: the event is tried beside others, so nothing is counted if the process ends. */
export const AMONG_OTHERS = 0

function idOf({ source, number }: EventPlace): string {
  return `${source} ${number}`
}
