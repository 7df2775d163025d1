import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { describe, it } from 'node:test'
import { gate, hashPassword } from '../src/identity/passwords.ts'
import { onSite } from './client.ts'

const password = 'a good password'

describe('a password', () => {
  it('is not computed when nobody waits for it any more: of a login, a registration or a change', () =>
    onSite(async ({ started: { running } }) => {
      const ann = { username: 'ann', email: 'ann@example.com' }
      // so there is a key for tokens
      await running.dispatch('identity.register', { input: { user: { ...ann, password } } })
      const { userId } = (
        await running.dispatch('identity.enrol', {
          input: {
            username: 'ben',
            email: 'ben@example.com',
            passwordHash: await hashPassword(password),
            bio: null,
            image: null,
          },
        })
      ).output as { userId: string } // as its contract says
      const asks: Readonly<Record<string, (signal: AbortSignal) => Promise<unknown>>> = {
        login: (signal) =>
          running.dispatch('identity.login', { input: { user: { email: ann.email, password } }, signal }),
        register: (signal) =>
          running.dispatch('identity.register', {
            input: { user: { username: 'cleo', email: 'cleo@example.com', password } },
            signal,
          }),
        change: (signal) =>
          running.dispatch('identity.change', {
            input: { user: { password } },
            caller: { id: userId, claims: {} },
            signal,
          }),
      }
      for (const [name, ask] of Object.entries(asks)) {
        const release = await holdAllButOne()
        try {
          const client = new AbortController()
          const asked = ask(client.signal)
          let isOver = false
          asked.catch(() => (isOver = true))
          while (hasRoom() && !isOver) await turn() // until it waits
          client.abort()
          assert.ok(hasRoom(), `${name}: it gives its place back at once`)
          await assert.rejects(asked, { code: 'CANCELLED' }, name)
        } finally {
          await release()
        }
      }
    }))
})

/** Takes all that may be computed at a time, and all places but one to wait for that; resolves with what lets go. */
async function holdAllButOne(): Promise<() => Promise<void>> {
  const held = Promise.withResolvers<void>()
  const work = (): Promise<void> => held.promise
  const all: Promise<void>[] = []
  let last = new AbortController()
  while (hasRoom()) all.push(gate.run(work, (last = new AbortController()).signal))
  last.abort(new Error('the last one makes room'))
  await assert.rejects(all.pop()!, /makes room/) // there was room for one
  return async () => {
    held.resolve()
    await Promise.all(all)
  }
}

function hasRoom(): boolean {
  try {
    gate.assertRoom()
    return true
  } catch {
    return false
  }
}
