import assert from 'node:assert/strict'
import { AtollError } from '@atoll/host'
import type { Client, Simulation, WorldResponse } from '@atoll/testkit'
import { calls, oddities, type DeskTables, type Oddity } from './system.ts'

/**
 * What clients know for certain of each word: that it was said, or refused. Of what was not answered they know nothing.
 */
interface Knowledge {
  readonly said: Set<string>
  readonly refused: Set<string>
  count: number
}

/** Those to which nothing stands in the way. */
const sayable: readonly Oddity[] = ['plain', 'fails after its commit', 'answers something else']

/**
 * People say odd things and repeat themselves, known and unknown. What is said is heard as it was said; what is refused
 * has not happened.
 */
export const deskSimulation: Simulation<Knowledge> = {
  steps: 40,
  least: { events: 30, faults: 4 },
  begin() {
    calls.count = 0 // else a run would depend on those before it
    return { said: new Set(), refused: new Set(), count: 0 }
  },
  workload: (client) => (client.random.chance(0.7) ? say(client) : note(client)),
  invariants: {
    settled: {
      'every word is heard as it was said': async ({ world }) => {
        const said = await world.db<DeskTables>('desk').selectFrom('words').selectAll().orderBy('id').execute()
        assert.deepEqual(
          await world.db<DeskTables>('ears').selectFrom('words').selectAll().orderBy('id').execute(),
          said,
        )
      },
      'what was answered was done, and what was refused was not': async ({ world, state }) => {
        const words = new Set(
          (await world.db<DeskTables>('desk').selectFrom('words').select('id').execute()).map(({ id }) => id),
        )
        for (const id of state.said) assert.ok(words.has(id), `${id} was answered, and not said`)
        for (const id of state.refused) assert.ok(!words.has(id), `${id} was refused, and said`)
      },
      'nothing is noted twice': async ({ world }) => {
        const notes = (await world.db<DeskTables>('desk').selectFrom('notes').select('lines').execute()).map(
          ({ lines }) => lines,
        )
        assert.equal(new Set(notes).size, notes.length)
      },
    },
  },
}

async function say(client: Client<Knowledge>): Promise<void> {
  const { name, random, state } = client
  const id = `${name}-${state.count++}`
  const oddity = random.chance(0.5) ? 'plain' : random.pick(oddities)
  const { status, body } = await ask(client, '/words', { id, oddity }, undefined)
  state[status === 200 ? 'said' : 'refused'].add(id)
  assert.equal(status, sayable.includes(oddity) ? 200 : 500, `${id} ${oddity}`)
  if (status === 200) assert.deepEqual(body, { id, answer: oddity })
}

/** Under one key: the same twice, and then something else. All who are not known use one and the same. */
async function note(client: Client<Knowledge>): Promise<void> {
  const { name, random, state } = client
  const isKnown = random.chance(0.5)
  const key = isKnown ? `${name}-${state.count++}` : 'stranger'
  const as = isKnown ? name : undefined
  const [one, other] = [[`${name} notes ${state.count++}`], [`${name} notes ${state.count++}`]] as const
  const first = await ask(client, '/notes', { lines: one }, as, key)
  assert.deepEqual([first.status, first.body], [200, { lines: one }])
  const again = await ask(client, '/notes', { lines: one }, as, key)
  assert.deepEqual([again.status, again.body], [200, { lines: one }])
  const { status, body } = await ask(client, '/notes', { lines: other }, as, key)
  if (isKnown) assert.equal(status, 422, `${name} was answered ${JSON.stringify(body)} under a key of something else`)
  else assert.deepEqual([status, body], [200, { lines: other }])
}

async function ask(
  client: Client<Knowledge>,
  path: string,
  body: object,
  as: string | undefined,
  key?: string,
): Promise<WorldResponse> {
  const answer = await client.request('POST', path, {
    body,
    ...(as === undefined ? {} : { as }),
    headers: key === undefined ? {} : { 'idempotency-key': key },
  })
  if (answer.status === 503 || answer.status === 504)
    throw new AtollError('UNAVAILABLE', `POST ${path} was answered ${answer.status}`)
  return answer
}
