import type { Host } from '@atoll/host'
import type { Counts } from '../relay/counts.ts'
import type { Dispatcher } from './dispatcher.ts'
import type { Emission } from '../relay/emission.ts'
import type { RuntimeOptions } from '../options.ts'
import { Standing } from '../relay/standing.ts'

/**
 * What is known here of each service of the system as a source of events, wherever it runs. Its own store says; its
 * process is asked if that is another one.
 */
export class Sources {
  readonly #here: ReadonlyMap<string, { readonly emission: Emission }>
  readonly #dispatcher: Dispatcher
  readonly #standings: ReadonlyMap<string, Standing>

  /** `names`: of all services of the system; `here`: those that run in this process. */
  constructor(
    names: readonly string[],
    here: ReadonlyMap<string, { readonly emission: Emission }>,
    dispatcher: Dispatcher,
    host: Host,
    options: RuntimeOptions,
  ) {
    this.#here = here
    this.#dispatcher = dispatcher
    this.#standings = new Map(names.map((name) => [name, new Standing(host, options, () => this.#readStanding(name))]))
  }

  isHere(name: string): boolean {
    return this.#here.has(name)
  }

  /** How far a source has got, as far as is known here; undefined if the system has none of that name. */
  standing(name: string): Standing | undefined {
    return this.#standings.get(name)
  }

  /** How many events of each type a source has emitted; undefined if it cannot be asked, or cannot tell now. */
  async emitted(name: string): Promise<Counts | undefined> {
    const here = this.#here.get(name)
    if (here) return (await here.emission.count()) ?? undefined
    const answer = await this.#dispatcher.ask(name, '@emitted').catch(() => undefined)
    return (answer?.output as Counts | null | undefined) ?? undefined // as `questionsOf` says
  }

  async #readStanding(name: string): Promise<Readonly<Record<number, string>>> {
    const here = this.#here.get(name)
    if (here) return here.emission.atMost()
    return (await this.#dispatcher.ask(name, '@standing')).position[name] ?? {}
  }
}
