import { createRequire, syncBuiltinESMExports } from 'node:module'
import { AtollError } from '@atoll/host'
import { inside } from './scheduler.ts'

// What is not the same in the next run of a seed is refused while code of a world runs, by its name, and with what to use instead. Code
// outside of worlds, such as the test that runs them, does not notice.

const now = 'now() of the handler’s context'
const later = 'tx.schedule, for what is to happen later'
const id = 'newId() of the handler’s context'
const elsewhere = 'a handler of the world, or a value made before the world begins: what is outside answers in its own time'

/** By module, or `global`: what is refused, and what to use instead. */
const refusals: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  global: { setTimeout: later, setInterval: later, setImmediate: later, fetch: elsewhere },
  'global.Math': { random: id },
  'global.performance': { now },
  'global.crypto': { randomUUID: id, getRandomValues: id },
  'global.crypto.subtle': Object.fromEntries(
    ['decrypt', 'deriveBits', 'deriveKey', 'digest', 'encrypt', 'exportKey', 'generateKey', 'importKey', 'sign', 'unwrapKey', 'verify', 'wrapKey'].map((name) => [name, `${elsewhere}; node:crypto has synchronous functions`]),
  ),
  'global.AbortSignal': { timeout: 'signal of the handler’s context' },
  'node:crypto': {
    randomUUID: id, randomBytes: id, randomInt: id, randomFill: id, randomFillSync: id,
    generateKeyPair: elsewhere, generateKeyPairSync: elsewhere, pbkdf2: 'pbkdf2Sync', scrypt: 'scryptSync', hkdf: 'hkdfSync',
  },
  'node:timers': { setTimeout: later, setInterval: later, setImmediate: later },
  'node:timers/promises': { setTimeout: later, setInterval: later, setImmediate: later },
  'node:process.hrtime': { bigint: now },
  'node:process': { hrtime: now },
  'node:fs': { readFile: elsewhere, writeFile: elsewhere, appendFile: elsewhere, open: elsewhere, stat: elsewhere, readdir: elsewhere },
  'node:fs/promises': { readFile: elsewhere, writeFile: elsewhere, appendFile: elsewhere, open: elsewhere, stat: elsewhere, readdir: elsewhere },
  'node:net': { connect: elsewhere, createConnection: elsewhere },
  'node:http': { request: elsewhere, get: elsewhere },
  'node:https': { request: elsewhere, get: elsewhere },
  'node:dns': { lookup: elsewhere, resolve: elsewhere },
  'node:child_process': { spawn: elsewhere, exec: elsewhere, execFile: elsewhere, fork: elsewhere },
  'node:zlib': { gzip: 'gzipSync', gunzip: 'gunzipSync', deflate: 'deflateSync', inflate: 'inflateSync' },
}

let worlds = 0
let restore: (() => void)[] = []

/** Refuses it all until the answer is called. Worlds may overlap. */
export function installGuards(): () => void {
  if (worlds++ === 0) restore = install()
  let removed = false
  return () => {
    if (removed) return
    removed = true
    if (--worlds > 0) return
    for (const undo of restore.splice(0)) undo()
    syncBuiltinESMExports()
  }
}

function install(): (() => void)[] {
  const undo = [guardDate()]
  for (const [place, names] of Object.entries(refusals)) {
    const target = find(place)
    for (const [name, instead] of Object.entries(names)) {
      const real: unknown = target[name]
      if (typeof real !== 'function') continue
      const own = Object.getOwnPropertyDescriptor(target, name)
      const refused = function (this: unknown, ...args: unknown[]): unknown {
        refuseInside(nameOf(place, name), instead)
        return Reflect.apply(real, this, args)
      }
      Object.defineProperty(target, name, { value: Object.assign(refused, real), configurable: true, writable: true, enumerable: own?.enumerable ?? true })
      undo.push(() => {
        if (own) Object.defineProperty(target, name, own)
        else delete target[name]
      })
    }
  }
  syncBuiltinESMExports()
  return undo
}

/** Of a date without arguments, which is the wall clock. Dates of given times are as they were. */
function guardDate(): () => void {
  const real = globalThis.Date
  globalThis.Date = new Proxy(real, {
    construct(target, args, newTarget: Function) {
      if (args.length === 0) refuseInside('new Date()', now)
      return Reflect.construct(target, args, newTarget) as Date // what Date constructs
    },
    apply(target, _that, args) {
      refuseInside('Date()', now)
      return Reflect.apply(target, undefined, args) as unknown
    },
    get(target, name, receiver) {
      if (name === 'now') refuseInside('Date.now()', now)
      return Reflect.get(target, name, receiver) as unknown
    },
  })
  return () => void (globalThis.Date = real)
}

function refuseInside(what: string, instead: string): void {
  const here = inside.getStore()
  if (here === undefined) return
  const refusal = new AtollError('NONDETERMINISTIC', `${here.name} used ${what} in a world under a seed, where it would be different in every run. Use ${instead}`)
  here.refusals.push(refusal)
  throw refusal
}

function nameOf(place: string, name: string): string {
  if (place === 'global') return `${name}()`
  return place.startsWith('global.') ? `${place.slice('global.'.length)}.${name}()` : `${name}() of ${place}`
}

function find(place: string): Record<string, unknown> {
  const [root, ...path] = place.split('.')
  let target: unknown = root === 'global' ? globalThis : createRequire(import.meta.url)(root!)
  for (const name of path) target = (target as Record<string, unknown>)[name] // the table above names what Node has
  return target as Record<string, unknown>
}
