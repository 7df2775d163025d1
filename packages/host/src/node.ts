import { hash, randomFillSync } from 'node:crypto'
import type { Host } from './host.ts'

/** The real world: this process's clock, timers, event loop and random source. */
export function createNodeHost(): Host {
  return {
    now: () => Date.now(),
    monotonicMs: () => performance.now(),
    after(delayMs, callback) {
      // Node turns a longer delay into 1 ms; waking early is harmless, since every timer in Atoll looks again when it wakes.
      const timeout = setTimeout(callback, Math.min(delayMs, TIMEOUT_MS_MAX))
      timeout.unref()
      return { cancel: () => clearTimeout(timeout) }
    },
    turn: (callback) => void setImmediate(callback),
    uuid: uuidV7,
    hex: randomHex,
    random: Math.random,
    digest: (text) => hash('sha256', text),
  }
}

const TIMEOUT_MS_MAX = 2 ** 31 - 1

const pool = new Uint8Array(4096)
let poolOffset = pool.length
const hex = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** Where the next `count` bytes of the pool begin. Random bytes are drawn 4 KiB at a time: one is 16 ns then, and not 1 µs. */
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
  let text = ''
  for (let index = from; index < from + bytes; index++) text += hex[pool[index]!]!
  return text
}

/** RFC 9562, version 7: 48 bits of milliseconds, 74 random bits. */
function uuidV7(): string {
  const at = draw(10)
  const byte = (index: number): string => hex[pool[at + index]!]!
  const time = Date.now().toString(16).padStart(12, '0')
  const version = hex[(pool[at]! & 0x0f) | 0x70]!
  const variant = hex[(pool[at + 2]! & 0x3f) | 0x80]!
  return (
    `${time.slice(0, 8)}-${time.slice(8)}-${version}${byte(1)}-${variant}${byte(3)}-` +
    `${byte(4)}${byte(5)}${byte(6)}${byte(7)}${byte(8)}${byte(9)}`
  )
}
