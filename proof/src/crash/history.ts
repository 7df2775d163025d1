import type { Kind, Line, Outcome } from './book.ts'
import { GONE } from './workload.ts'

/** What the stores and the log hold, by what the client set. */
export interface Observed {
  /** Register → value; more than one value if it is there more than once. Registers that are not there are left out. */
  readonly registers: ReadonlyMap<string, readonly string[]>
  /** Id of a request → how many events name it as their cause. */
  readonly events: ReadonlyMap<string, number>
}

/** What each outcome came to. */
export type Counts = Record<Outcome | 'again', number>

/**
 * What the client's book says there must be, against what there is: each acknowledged request is there exactly once,
 * each refused one never, each unknown one at most once. What an observation finds of an unknown request is its fate
 * from then on.
 */
export class History {
  readonly counts: Counts = { acknowledged: 0, refused: 0, unknown: 0, again: 0 }
  readonly #tried = new Map<string, { kind: Kind; register: string; value: string }>()
  readonly #outcomes = new Map<string, Outcome>()
  /** What a register may hold. */
  readonly #possible = new Map<string, Set<string>>()

  add(lines: readonly Line[]): void {
    for (const line of lines) {
      if (line.state === 'tried') {
        this.#tried.set(line.id, line)
        // Until its answer is written down, nobody knows.
        this.#outcomes.set(line.id, 'unknown')
        continue
      }
      this.#outcomes.set(line.id, line.state)
      this.counts[line.state]++
      if (line.again) this.counts.again++
      const { register, value } = this.#tried.get(line.id)! // it was tried before
      const possible = this.#possible.get(register) ?? new Set([GONE])
      if (line.state === 'acknowledged') this.#possible.set(register, new Set([value]))
      else if (line.state === 'unknown') this.#possible.set(register, possible.add(value))
      else this.#possible.set(register, possible)
    }
  }

  /** What does not fit, in words. */
  judge(observed: Observed): string[] {
    return [...this.#judgeRegisters(observed.registers), ...this.#judgeEvents(observed.events)]
  }

  *#judgeRegisters(registers: Observed['registers']): Iterable<string> {
    for (const [register, values] of registers) {
      if (values.length > 1) yield `${register} is there ${values.length} times`
      if (!this.#possible.has(register)) yield `${register} is there, and no request that was not refused set it`
    }
    for (const [register, possible] of this.#possible) {
      const value = registers.get(register)?.[0] ?? GONE
      const article = articleOf(register)
      if (article !== undefined && !registers.has(article)) {
        if (value !== GONE) yield `${register} is there, and its article is not`
        this.#possible.delete(register) // an article does not come back
      } else if (!possible.has(value)) {
        yield `${register} holds '${value}' and should hold '${[...possible].join("' or '")}'`
      } else this.#possible.set(register, new Set([value]))
    }
  }

  *#judgeEvents(events: Observed['events']): Iterable<string> {
    for (const id of events.keys()) if (!this.#tried.has(id)) yield `an event was caused by ${id}, which nobody sent`
    for (const [id, outcome] of this.#outcomes) {
      const { kind, register } = this.#tried.get(id)! // outcomes are of what was tried
      const count = events.get(id) ?? 0
      const most = outcome === 'refused' ? 0 : 1
      const least = outcome === 'acknowledged' && !mayChangeNothing.has(kind) ? 1 : 0
      if (count > most || count < least)
        yield `${kind} ${id} of ${register} was ${outcome} and led to ${count} events instead of ${least === most ? most : `${least} or ${most}`}`
    }
  }
}

/** The register of the article that a comment or a favorite belongs to. */
function articleOf(register: string): string | undefined {
  const [what, title] = register.split(':')
  return what === 'comment' || what === 'favorite' ? `article:${title}` : undefined
}

/** Asked for twice in a row, they change nothing the second time. */
const mayChangeNothing: ReadonlySet<Kind> = new Set(['favorite', 'unfavorite', 'follow', 'unfollow'])
