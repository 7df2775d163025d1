import { defaultLimits, type GatewayOptions } from '@atoll/gateway'
import { AtollError } from '@atoll/host'
import type { System } from 'atoll'
import type { RunningSystem } from 'atoll/runtime'
import { nearestOf } from './nearest.ts'

/** What a system's module may say of its gateway; the rest is known by who runs it. */
export type GatewayExport = Partial<Omit<GatewayOptions, 'host' | 'logger' | 'attribution'>>

/** What a system's gateway should be like; or how to find out once the system runs. */
export type GatewaySettings = GatewayExport | ((running: RunningSystem) => GatewayExport)

/**
 * How to find out what the gateway of a system should be like. Throws CONFIG_INVALID, now for what is said and later
 * for what a function answers, where it says what no gateway knows, or lets nobody in who may ask: each call of an
 * operation for users would be answered 401, and nobody would know why.
 */
export function readGateway(
  system: System,
  given: GatewaySettings | undefined,
): (running: RunningSystem) => GatewayExport {
  if (typeof given === 'function') return (running) => checked(system, given(running))
  const settings = checked(system, given ?? {})
  return () => settings
}

/** It comes from a module that may never have been compiled. */
function checked(system: System, settings: GatewayExport): GatewayExport {
  if (settings instanceof Promise)
    refuse('is a promise; what it needs to wait for, `authenticate` can wait for: it may be async')
  assertKeys(settings, keys, '')
  if (settings.limits !== undefined) assertKeys(settings.limits, Object.keys(defaultLimits), 'limits.')
  if (settings.cors !== undefined) assertKeys(settings.cors, ['origins'], 'cors.')
  if (settings.authenticate !== undefined && typeof settings.authenticate !== 'function')
    refuse('has an `authenticate` that is no function')
  const forUsers = [...system.operations.values()]
    .map(({ operation }) => operation)
    .filter(({ http, auth }) => http !== undefined && auth === 'user')
  const [first] = forUsers
  if (settings.authenticate === undefined && first) {
    const others = forUsers.length === 1 ? '' : `, and ${forUsers.length - 1} more,`
    throw new AtollError(
      'CONFIG_INVALID',
      `${first.name} (${first.http})${others} asks for a user, and nothing tells the gateway who holds a token: every call would be answered 401. Beside its default export, let the module of system ${system.name} say it: export const gateway = (running) => ({ authenticate: async (token) => … }), which answers { id, claims: {} }, or undefined for a token that is not good`,
    )
  }
  return settings
}

function assertKeys(value: object, known: readonly string[], prefix: string): void {
  if (typeof value !== 'object' || value === null)
    refuse(
      prefix === ''
        ? 'is neither an object nor a function that answers one'
        : `has ${prefix.slice(0, -1)} that are no object`,
    )
  const unknown = Object.keys(value).find((key) => !known.includes(key))
  if (unknown === undefined) return
  const meant = nearestOf(unknown, known)
  refuse(
    `has ${prefix}${unknown}, which no gateway knows; ${meant === undefined ? `there are ${known.join(', ')}` : `is ${prefix}${meant} meant?`}`,
  )
}

function refuse(problem: string): never {
  throw new AtollError('CONFIG_INVALID', `the module's export \`gateway\` ${problem}`)
}

const keys: readonly string[] = Object.keys({
  basePath: true,
  authenticate: true,
  trustProxy: true,
  secret: true,
  cors: true,
  limits: true,
} satisfies Record<keyof GatewayExport, true>)
