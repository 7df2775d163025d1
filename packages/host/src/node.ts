import { createHmac, hash, randomFillSync } from 'node:crypto'
import type { Host } from './host.ts'

export { Connections, type ConnectionHandler, type ConnectionLimits } from './http/connections.ts'
export { Gone } from './http/gone.ts'
export { Permits, type Permit } from './http/permits.ts'
export { listenAt, type ListenRefusals } from './http/listen.ts'
export { createSecretCheck } from './http/secret.ts'

/** The real world: this process's clock, timers, event loop and random source. */
export function createNodeHost(): Host {
  return {
    now: () => Date.now(),
    monotonicMs: () => performance.now(),
    after(delayMs, callback) {
      // Node turns a longer delay into 1 ms; waking early is harmless, since every timer in Atoll looks again when it
      // wakes.
      const timeout = setTimeout(callback, Math.min(Math.max(0, delayMs), TIMEOUT_MS_MAX))
      timeout.unref()
      return { cancel: () => clearTimeout(timeout) }
    },
    turn: (callback) => void setImmediate(callback),
    uuid: uuidV7,
    hex: randomHex,
    random: Math.random,
    digest: (text, key) =>
      key === undefined ? hash('sha256', text) : createHmac('sha256', key).update(text).digest('hex'),
  }
}

const TIMEOUT_MS_MAX = 2 ** 31 - 1

const pool = Buffer.alloc(4096)
let poolOffset = pool.length

/**
 * Where the next `count` bytes of the pool begin. Random bytes are drawn 4 KiB at a time: one is 16 ns then, and not 1
 * µs.
 */
function draw(count: number): number {
  if (poolOffset + count > pool.length) {
    randomFillSync(pool)
    poolOffset = 0
  }
  poolOffset += count
  return poolOffset - count
}

function randomHex(bytes: number): string {
  const from = draw(bytes)
  return pool.toString('hex', from, from + bytes)
}

const digits = Buffer.from('0123456789abcdef')
/**
 * Where ids are written, digit by digit; joining texts takes three times as long, and every event and request has an
 * id.
 */
const id = Buffer.from('00000000-0000-7000-0000-000000000000')
let idMs = 0

/** RFC 9562, version 7: 48 bits of milliseconds, 74 random bits. */
function uuidV7(): string {
  const now = Date.now()
  if (now !== idMs) {
    idMs = now
    const time = now.toString(16).padStart(12, '0')
    id.write(`${time.slice(0, 8)}-${time.slice(8)}`, 'latin1')
  }
  const from = draw(10)
  id[15] = digits[pool[from]! & 0x0f]!
  writeHex(pool[from + 1]!, 16)
  writeHex((pool[from + 2]! & 0x3f) | 0x80, 19)
  for (let index = 3; index < 10; index++) writeHex(pool[from + index]!, index === 3 ? 21 : 16 + 2 * index)
  return id.toString('latin1')
}

function writeHex(byte: number, at: number): void {
  id[at] = digits[byte >> 4]!
  id[at + 1] = digits[byte & 0x0f]!
}
