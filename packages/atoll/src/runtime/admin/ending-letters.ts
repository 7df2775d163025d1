import { AtollError, type Host } from '@atoll/host'
import type {
  DeadLetter,
  DiscardedLetter,
  DiscardOptions,
  GoneLetter,
  RedriveOptions,
  RedriveOutcome,
} from '../admin.ts'
import { heldPlaceOf, isGone, listDiscarded, subscriptionsOf, walkDeadLetters } from './dead-letters.ts'
import type { ServiceRuntime } from '../service/service-runtime.ts'
import { saysDiscarded } from '../subscription/discarded.ts'
import type { Subscription } from '../subscription/subscription.ts'

// What operators do to dead letters: have them handled again, or end them. Of many, some may be gone by the time:
// others do the same, or a release has mended them. That is said, and the rest goes on.

/** Handles the dead letters of services that run here again, key by key. */
export function redriveDeadLetters(
  services: ReadonlyMap<string, ServiceRuntime>,
  options: RedriveOptions,
): AsyncGenerator<RedriveOutcome | GoneLetter> {
  return redriveEach(
    walkDeadLetters(services, options),
    options,
    async function* (letter) {
      const outcomes: RedriveOutcome[] = []
      await readerOf(services, letter).redrive(heldPlaceOf(letter), options.dryRun ?? false, (outcome) =>
        outcomes.push(outcome),
      )
      if (outcomes.length === 0) throw noSuchLetter(letter.id)
      yield* outcomes
    },
    (id) => listDiscarded(services, { id }),
  )
}

/** Ends the dead letters of services that run here without handling them: one, or all of a subscription. */
export async function* discardDeadLetters(
  services: ReadonlyMap<string, ServiceRuntime>,
  host: Host,
  options: DiscardOptions,
): AsyncGenerator<DiscardedLetter | GoneLetter> {
  const { by, reason } = options
  yield* discardEach(
    walkDeadLetters(services, options),
    options,
    async function* ({ parkedBehind, hasNoHandler, ...letter }) {
      const reading = readerOf(services, letter)
      const note = { at: host.now(), by, reason }
      await reading.discard(heldPlaceOf(letter), note)
      reading.ground.logger.warn(
        { subscription: letter.subscription, event: letter.event.id, key: letter.event.key, by, reason },
        `${letter.id} was discarded: it will never be handled`,
      )
      yield { ...letter, discardedAt: note.at, by, reason }
    },
    (id) => listDiscarded(services, { id }),
  )
}

/**
 * Redrives letter by letter: `ask` has that instance do it which reads the letter's partition, and rejects with
 * COMMAND_USAGE if it is gone. One whose tries ended the process would end that instance: it is tried only if it is
 * named, and never dry. COMMAND_USAGE if there is none of the id that is asked for; `findDiscarded` looks for a letter
 * that is not among the dead, to say who discarded it.
 */
export async function* redriveEach(
  letters: AsyncIterable<DeadLetter | GoneLetter>,
  options: RedriveOptions,
  ask: (letter: DeadLetter) => AsyncIterable<RedriveOutcome | GoneLetter>,
  findDiscarded: FindDiscarded,
): AsyncGenerator<RedriveOutcome | GoneLetter> {
  const tryOne = (letter: DeadLetter): AsyncIterable<RedriveOutcome | GoneLetter> | Iterable<RedriveOutcome> => {
    const spared = spareProcess(letter, options)
    return spared ? [spared] : ask(letter)
  }
  yield* each(letters, options.id, tryOne, (id) => notDead(id, findDiscarded))
}

/**
 * Discards letter by letter, in the same way; before the first, COMMAND_USAGE for a reason or a name that cannot be
 * kept. `findDiscarded`: letters of the id that is asked for, if it is not dead.
 */
export async function* discardEach(
  letters: AsyncIterable<DeadLetter | GoneLetter>,
  { id, subscription, reason, by }: DiscardOptions,
  ask: (letter: DeadLetter) => AsyncIterable<DiscardedLetter | GoneLetter>,
  findDiscarded: FindDiscarded,
): AsyncGenerator<DiscardedLetter | GoneLetter> {
  if ((id === undefined) === (subscription === undefined))
    throw new AtollError(
      'COMMAND_USAGE',
      'say which dead letter to discard, by its id; or, to discard all of a subscription, which',
    )
  for (const [what, text] of [
    ['a reason', reason],
    ['a name', by],
  ] as const) {
    if (!isStorable(text))
      throw new AtollError(
        'COMMAND_USAGE',
        `a dead letter is discarded with ${what} of 1 to ${TEXT_CHARS_MAX} characters, U+0000 not among them: it is kept, for whoever asks later`,
      )
  }
  yield* each(letters, id, ask, (id) =>
    notDead(id, findDiscarded, '. An event that is parked, or will be tried again, cannot be discarded'),
  )
}

/** Finds the letters of an id that somebody discarded; none if nobody did. */
export type FindDiscarded = (id: string) => Promise<readonly DiscardedLetter[]>

/** Why nothing can be done to a letter that is not among the dead: it was discarded, or there is none. */
async function notDead(id: string, findDiscarded: FindDiscarded, more = ''): Promise<AtollError> {
  const [discarded] = await findDiscarded(id)
  return discarded ? saysDiscarded(id, { ...discarded, at: discarded.discardedAt }) : noSuchLetter(id, more)
}

async function* each<Outcome>(
  letters: AsyncIterable<DeadLetter | GoneLetter>,
  id: string | undefined,
  work: (letter: DeadLetter) => AsyncIterable<Outcome> | Iterable<Outcome>,
  none: (id: string) => Promise<AtollError>,
): AsyncGenerator<Outcome | GoneLetter> {
  let isThere = false
  for await (const letter of letters) {
    isThere = true
    if (isGone(letter)) yield letter
    else {
      try {
        yield* work(letter)
      } catch (thrown) {
        const error = AtollError.from(thrown)
        if (error.code !== 'COMMAND_USAGE' || id !== undefined) throw error
        yield { outcome: 'gone', id: letter.id, subscription: letter.subscription, why: error.reason }
      }
    }
  }
  if (!isThere && id !== undefined) throw await none(id)
}

/**
 * What becomes of a letter that is not tried, because its tries ended the process: that takes somebody who names it,
 * and is never done dry. Undefined for others.
 */
function spareProcess(
  { id, subscription, event, error }: DeadLetter,
  { id: named, dryRun }: RedriveOptions,
): RedriveOutcome | undefined {
  if (error.code !== 'PROCESS_ENDED' || (named === id && !dryRun)) return undefined
  const why = `a try of it ended the process, and would end this one. Mend its handler; then redrive ${id} by name, and not dry`
  return {
    subscription,
    eventId: event.id,
    type: event.type,
    key: event.key,
    was: 'dead',
    outcome: 'waiting',
    error: why,
  }
}

function noSuchLetter(id: string, more = ''): AtollError {
  return new AtollError(
    'COMMAND_USAGE',
    `there is no dead letter ${id}; \`atoll dead-letters\` lists what there is${more}`,
  )
}

function readerOf(
  services: ReadonlyMap<string, ServiceRuntime>,
  { subscription }: Pick<DeadLetter, 'subscription'>,
): Subscription {
  return subscriptionsOf(services, subscription)[0]! // it has the letter
}

function isStorable(text: unknown): boolean {
  return (
    typeof text === 'string' &&
    text.trim() !== '' &&
    text.length <= TEXT_CHARS_MAX &&
    text.isWellFormed() &&
    !text.includes('\0')
  )
}

const TEXT_CHARS_MAX = 1_000
