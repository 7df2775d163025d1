import { createRequire, syncBuiltinESMExports } from 'node:module'
import { AtollError } from '@atoll/host'
import { gone } from './passage.ts'
import { inside } from './scheduler.ts'

// What is not the same in the next run of a seed is refused while code of a world runs, by its name, and with what to
// use instead. Code outside of worlds, such as the test that runs them, does not notice. What would end the process
// ends the instance that did it, and nobody else.

const now = 'now() of the handler’s context'
const later = 'tx.schedule, for what is to happen later'
const id = 'newId() of the handler’s context'
const elsewhere =
  'a handler of the world, or a value made before the world begins: what is outside answers in its own time'

/** By module, or `global`: what is refused, and what to use instead. */
const refusals: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  global: { setTimeout: later, setInterval: later, setImmediate: later, fetch: elsewhere },
  'global.Math': { random: id },
  'global.performance': { now },
  'global.crypto': { randomUUID: id, getRandomValues: id },
  'global.crypto.subtle': Object.fromEntries(
    [
      'decrypt',
      'deriveBits',
      'deriveKey',
      'digest',
      'encrypt',
      'exportKey',
      'generateKey',
      'importKey',
      'sign',
      'unwrapKey',
      'verify',
      'wrapKey',
    ].map((name) => [name, `${elsewhere}; node:crypto has synchronous functions`]),
  ),
  'global.AbortSignal': { timeout: 'signal of the handler’s context' },
  'node:crypto': {
    randomUUID: id,
    randomBytes: id,
    randomInt: id,
    randomFill: id,
    randomFillSync: id,
    generateKeyPair: elsewhere,
    generateKeyPairSync: elsewhere,
    pbkdf2: 'pbkdf2Sync',
    scrypt: 'scryptSync',
    hkdf: 'hkdfSync',
  },
  'node:timers': { setTimeout: later, setInterval: later, setImmediate: later },
  'node:timers/promises': { setTimeout: later, setInterval: later, setImmediate: later },
  'node:process.hrtime': { bigint: now },
  'node:process': { hrtime: now },
  'node:fs': {
    readFile: elsewhere,
    writeFile: elsewhere,
    appendFile: elsewhere,
    open: elsewhere,
    stat: elsewhere,
    readdir: elsewhere,
  },
  'node:fs/promises': {
    readFile: elsewhere,
    writeFile: elsewhere,
    appendFile: elsewhere,
    open: elsewhere,
    stat: elsewhere,
    readdir: elsewhere,
  },
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
  const undo = [guardDate(), ...guardEnds()]
  for (const [place, names] of Object.entries(refusals)) {
    const target = find(place)
    for (const [name, instead] of Object.entries(names)) {
      undo.push(
        intercept(target, name, (call) => {
          refuseInside(nameOf(place, name), instead)
          return call()
        }),
      )
    }
  }
  syncBuiltinESMExports()
  return undo
}

/** Puts `around` in the place of a function, if there is one. Returns what undoes it. */
function intercept(
  target: Record<string, unknown>,
  name: string,
  around: (call: () => unknown, args: readonly unknown[]) => unknown,
): () => void {
  const real: unknown = target[name]
  if (typeof real !== 'function') return () => {}
  const own = Object.getOwnPropertyDescriptor(target, name)
  const guarded = function (this: unknown, ...args: unknown[]): unknown {
    return around(() => Reflect.apply(real, this, args), args)
  }
  Object.defineProperty(target, name, {
    value: Object.assign(guarded, real),
    configurable: true,
    writable: true,
    enumerable: own?.enumerable ?? true,
  })
  return () => {
    if (own) Object.defineProperty(target, name, own)
    else delete target[name]
  }
}

/**
 * What ends a process: that it asks for it, and an error that nobody catches. Node.js tells of such an error in the
 * context in which it was thrown, so it is known whose it is.
 */
function guardEnds(): (() => void)[] {
  const target = find('node:process')
  const asks = (name: string, isOwn = (_args: readonly unknown[]): boolean => true): (() => void) =>
    intercept(target, name, (call, args) => {
      const end = inside.getStore()?.end
      if (!end || !isOwn(args)) return call()
      end(`it called process.${name}()`)
      throw gone // nothing comes after it, and who catches this is dead
    })
  const strays: Readonly<Record<string, string>> = {
    unhandledRejection: 'a promise was rejected, and nobody awaits it',
    uncaughtException: 'an error was thrown, and nobody catches it',
  }
  return [
    asks('exit'),
    asks('reallyExit'),
    asks('abort'),
    asks('kill', ([pid, signal]) => pid === process.pid && signal !== 0),
    intercept(target, 'emit', (call, [name, error]) => {
      const how = strays[String(name)]
      const end = how === undefined ? undefined : inside.getStore()?.end
      if (!end) return call()
      end(how!, error) // there is an end only if it is one of them
      inside.enterWith(undefined) // what follows is Node.js's own, which sets a timer
      return true // so that Node.js takes it for handled
    }),
  ]
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
  const refusal = new AtollError(
    'NONDETERMINISTIC',
    `${here.name} used ${what} in a world under a seed, where it would be different in every run. Use ${instead}`,
  )
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
