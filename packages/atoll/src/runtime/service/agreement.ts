import type { Statement } from '@atoll/store/driver'
import { notePassed, readGiven, useUpNumbers, type Passed, type Source } from '../relay/lost-numbers.ts'
import { furthestOf } from '../subscription/cursor-book.ts'
import type { SubscriptionGround } from '../subscription/ground.ts'

const selectMain: Statement = {
  sql: `SELECT partition, number, "order", ahead FROM atoll_cursors WHERE subscription = ? AND source = ? AND type = ''`,
}

interface MainRow {
  readonly partition: number
  readonly number: number
  readonly order: string
  readonly ahead: string
}

/** Services and their subscriptions, each by its name, as they are at the moment. */
type ServicesHere = ReadonlyMap<
  string,
  { readonly subscriptions: ReadonlyMap<string, { readonly ground: SubscriptionGround }> }
>

/**
 * That a source and the subscriptions that run in its process agree on its numbers: none of these has passed a number
 * that is still to be given. Without that the source emits nothing, because they would skip it. Of a whole system the
 * stores alone say so, and the log need not answer.
 */
export class Agreement {
  /** Whether the source may emit. */
  isReached = false
  readonly #source: Source
  readonly #services: ServicesHere
  /** How many numbers the source had given before anything was emitted here, by partition. */
  #givenAtStart: ReadonlyMap<number, number> = new Map()
  #isAhead = false

  /** `services`: those in this process. */
  constructor(source: Source, services: ServicesHere) {
    this.#source = source
    this.#services = services
  }

  /** Looks where the source stands. Call it once its store is open, and before it emits. */
  async open(): Promise<void> {
    this.#givenAtStart = toGiven(await readGiven(this.#source.store.reader))
  }

  /** Whether a subscription here has passed what the log need not have yet, since it waits in the outbox. */
  get isAhead(): boolean {
    return this.#isAhead
  }

  /** Looks whether they agree by themselves. */
  async look(): Promise<void> {
    const passed = await this.#findPassed()
    this.isReached ||= passed.length === 0 // the log may have answered meanwhile
  }

  /**
   * Makes them agree, of a source whose store and log fit: numbers that were passed are used up. Resolves with whether
   * any were.
   */
  async reach(): Promise<boolean> {
    let hasUsedUp = false
    for (const { subscription, passed } of await this.#findPassed()) {
      hasUsedUp =
        (await useUpNumbers(this.#source, this.#givenAtStart.get(passed.partition) ?? 0, subscription, passed)) ||
        hasUsedUp
    }
    this.isReached = true
    return hasUsedUp
  }

  /**
   * Of a source that cannot use them up now, since its store is older than the log: what it emits all the same is never
   * to pass for what was there before.
   */
  async note(): Promise<void> {
    for (const { subscription, passed } of await this.#findPassed()) {
      await notePassed(
        this.#source.store,
        subscription,
        passed.partition,
        this.#givenAtStart.get(passed.partition) ?? 0,
      )
    }
    this.isReached = true
  }

  /** Which subscriptions have passed numbers that were not given. */
  async #findPassed(): Promise<{ readonly subscription: string; readonly passed: Passed }[]> {
    const { name, store } = this.#source
    const passed: { subscription: string; passed: Passed }[] = []
    for (const { ground } of [...this.#services.values()].flatMap(({ subscriptions }) => [...subscriptions.values()])) {
      if (!ground.events.some(({ source }) => source === name)) continue
      for (const row of await ground.store.reader.all<MainRow>(selectMain, [ground.name, name])) {
        passed.push({
          subscription: ground.name,
          passed: { partition: row.partition, number: furthestOf(row), order: row.order },
        })
      }
    }
    if (passed.length === 0) return []
    // behind the cursors: until then it can only grow
    const numbers = new Map((await readGiven(store.reader)).map((row) => [row.partition, row]))
    this.#isAhead = passed.some(({ passed: { partition, number } }) => number > (numbers.get(partition)?.noted ?? 0))
    return passed.filter(({ passed: { partition, number } }) => number > (numbers.get(partition)?.given ?? 0))
  }
}

function toGiven(rows: Awaited<ReturnType<typeof readGiven>>): ReadonlyMap<number, number> {
  return new Map(rows.map(({ partition, given }) => [partition, given]))
}
