/**
 * Waits for all of these, whatever becomes of any. Rejects then with the first failure: whoever closes things finds
 * nobody at work.
 */
export async function all(works: readonly (Promise<unknown> | undefined)[]): Promise<void> {
  for (const work of await Promise.allSettled(works.filter((work) => work !== undefined)))
    if (work.status === 'rejected') throw work.reason
}

/** Takes all of these steps, one after the other, whatever becomes of any. Rejects then with the first failure. */
export async function inTurn(steps: readonly (() => Promise<unknown> | undefined)[]): Promise<void> {
  const taken: Promise<unknown>[] = []
  for (const step of steps) {
    const work = (async () => step())() // also if it throws at once
    taken.push(work)
    await work.catch(() => undefined) // said below
  }
  await all(taken)
}
