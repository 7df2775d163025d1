import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { Attack } from './attack.ts'
import { ask } from './honest.ts'
import type { Target } from './target.ts'
import { figuresOf, type Figures, type Turn } from './windows.ts'

export interface Plan {
  /** Turns of a window without and one with the attack. */
  readonly windows: number
  /** Of each window. */
  readonly seconds: number
  /** Requests of honest clients. */
  readonly perSecond: number
}

export interface Measured {
  readonly turns: readonly Turn[]
  /** How often each outcome came to the attacker, in all windows. */
  readonly outcomes: Readonly<Record<string, number>>
}

/** Makes an attack in turns, and sees what honest clients see with it and without. */
export async function measure(
  attack: Attack,
  target: Target,
  { windows, seconds, perSecond }: Plan,
  onTurn: (turn: Turn) => void,
): Promise<Measured> {
  const turns: Turn[] = []
  const outcomes: Record<string, number> = {}
  const look = async (): Promise<Figures> => figuresOf(await ask(target, perSecond, { until: wait(seconds * 1_000) }))
  await ask(target, perSecond, { until: wait(WARM_UP_MS) })
  for (let window = 0; window < windows; window++) {
    const without = await look()
    const attacker = fork(
      join(import.meta.dirname, 'attacker.ts'),
      [attack.name, JSON.stringify(target), String(seconds)],
      { execArgv: [] },
    )
    const ended = once(attacker, 'close')
    const said = (): Promise<unknown> =>
      // one that was killed says nothing
      Promise.race([once(attacker, 'message').then(([message]) => message as unknown), ended.then(() => undefined)])
    await said() // what its start costs is not what it does
    const counts = said()
    const turn = { without, with: await look() }
    await ended
    for (const [outcome, count] of Object.entries(((await counts) ?? {}) as Record<string, number>))
      outcomes[outcome] = (outcomes[outcome] ?? 0) + count
    turns.push(turn)
    onTurn(turn)
    await wait(REST_MS)
  }
  return { turns, outcomes }
}

/** In the first seconds everything takes longer, whoever attacks. */
const WARM_UP_MS = 3_000
/** For what the attacker left to come to its end: what it cost afterwards is not what the next window is without. */
const REST_MS = 2_000
