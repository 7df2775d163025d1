import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Host, LogFields, Logger } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { Listeners, type Discovery, type Instance } from './discovery.ts'
import { searchServices, type Search } from './search.ts'

interface Scene {
  readonly search: Search
  readonly warned: readonly LogFields[]
  /** Tells of the instances that there are now, by service. */
  know(services: Readonly<Record<string, number>>): void
  /** What the search waits for is over. */
  wait(): void
  problem: string | undefined
}

function searching(services: readonly string[]): Scene {
  let known: Readonly<Record<string, number>> = {}
  let over = (): void => {}
  const listeners = new Listeners()
  const instances = (service: string): Instance[] =>
    Array.from({ length: known[service] ?? 0 }, (_, index) => ({
      id: `${service}-${index}`,
      url: `http://10.0.0.${index}`,
    }))
  const scene = { problem: undefined as string | undefined }
  const discovery: Discovery = {
    instances,
    watch: (listener) => listeners.add(listener),
    get problem() {
      return scene.problem
    },
    close: async () => {},
  }
  const host: Host = {
    ...createNodeHost(),
    after: (_, callback) => ((over = callback), { cancel: () => (over = () => {}) }),
  }
  const warned: LogFields[] = []
  const logger: Logger = { info: () => {}, warn: (fields) => void warned.push(fields), error: () => {} }
  return Object.assign(scene, {
    search: searchServices({ host, logger, discovery, services }),
    warned,
    know(now: Readonly<Record<string, number>>) {
      known = now
      listeners.tell()
    },
    wait: () => over(),
  })
}

describe('a gateway that has just started', () => {
  it('is not ready before an instance of each service was found, and says whose are missing', () => {
    const { search, know } = searching(['shelf', 'desk', 'lamp'])
    assert.equal(search.problem?.brief, 'no instance of shelf, desk, lamp has been found yet')
    know({ shelf: 1, lamp: 2 })
    assert.equal(search.problem?.brief, 'no instance of desk has been found yet')
    know({ desk: 1 }) // the others have gone meanwhile
    assert.equal(search.problem, undefined)
  })

  it('stays ready when instances go, be they all of a service or all there are', () => {
    const { search, know } = searching(['shelf', 'desk'])
    know({ shelf: 1, desk: 1 })
    know({ desk: 1 })
    assert.equal(search.problem, undefined)
    know({})
    assert.equal(search.problem, undefined)
  })

  it('does not wait for ever for a service that is down while others are there', () => {
    const { search, know, wait, warned } = searching(['shelf', 'desk'])
    know({ shelf: 1 })
    assert.notEqual(search.problem, undefined)
    wait()
    assert.equal(search.problem, undefined)
    assert.deepEqual(
      warned.map(({ services }) => services),
      [['desk']],
    )
  })

  it('waits for ever while it finds nobody at all: what it would answer is of no use', () => {
    const { search, know, wait } = searching(['shelf', 'desk'])
    wait()
    assert.notEqual(search.problem, undefined)
    know({ desk: 1 })
    assert.equal(search.problem, undefined)
  })

  it('keeps to itself whom it asks, and tells operators why it does not hear', () => {
    const scene = searching(['shelf'])
    scene.know({ shelf: 1 })
    scene.problem = 'the registry at http://10.0.0.9:4200 does not answer: ECONNREFUSED'
    assert.deepEqual(scene.search.problem, {
      reason: scene.problem,
      brief: 'where services are found is not known yet',
    })
    scene.problem = undefined
    assert.equal(scene.search.problem, undefined)
  })

  it('with nobody to reach is ready at once', () => {
    assert.equal(searching([]).search.problem, undefined)
  })
})
