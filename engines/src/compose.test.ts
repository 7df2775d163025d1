import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { engines } from './engines.ts'
import * as kafka from './engines/kafka.ts'
import * as nats from './engines/nats.ts'
import * as postgres from './engines/postgres.ts'
import * as rabbitmq from './engines/rabbitmq.ts'
import * as redis from './engines/redis.ts'
import { engineNames, type EngineName } from './url.ts'

const file = readFileSync(new URL('../compose.yaml', import.meta.url), 'utf8')

/** What each engine's settings look like there. */
const lines: Readonly<Record<EngineName, readonly string[]>> = {
  postgres: postgres.settings.map((setting) => `'-c', '${setting}'`),
  nats: nats.settings.map((setting) => `        ${setting}\n`),
  kafka: Object.entries(kafka.settings).map(
    ([key, value]) => `      KAFKA_${key.toUpperCase().replaceAll('.', '_')}: '${value}'\n`,
  ),
  rabbitmq: Object.entries(rabbitmq.settings).map(([key, value]) => `      ${key} = ${value}\n`),
  redis: Object.entries(redis.settings).map(([key, value]) => `'--${key}', '${value}'`),
}

describe('engines in containers', () => {
  for (const name of engineNames) {
    it(`have the port and the settings of the program: ${name}`, () => {
      assert.ok(file.includes(`'127.0.0.1:${engines[name].port}:`), `port ${engines[name].port}`)
      for (const line of lines[name]) assert.ok(file.includes(line), line)
    })
  }

  it('listen on loopback alone', () => {
    const published = [...file.matchAll(/^ +ports: \[(.*)\]$/gm)].flatMap((match) => match[1]!.split(', '))
    assert.ok(published.length >= engineNames.length)
    for (const port of published) assert.match(port, /^'127\.0\.0\.1:\d+:\d+'$/)
  })

  it('are of a version that does not change by itself', () => {
    const images = [...file.matchAll(/^ +image: (.*)$/gm)].map((match) => match[1]!)
    assert.equal(images.length, engineNames.length)
    for (const image of images) assert.match(image, /^[a-z/]+:\d+\.\d+(\.\d+)?(-alpine)?$/)
  })
})
