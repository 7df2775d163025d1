import { defaultClientLimits, defaultServerLimits, type ClientLimits, type ServerLimits } from '@atoll/calls'
import { defaultLimits, type GatewayLimits } from '@atoll/gateway'
import type { Values } from '../config/settings.ts'

/** What the configuration says of the gateway's limits. */
export function gatewayLimits(values: Values): Partial<GatewayLimits> {
  const limits: Record<string, unknown> = {}
  for (const name of Object.keys(defaultLimits)) {
    const value = values[`gateway.${name as keyof GatewayLimits}`]
    if (value !== undefined) limits[name] = value
  }
  return limits // each was checked by the schema of its key
}

/** Limits of calls: what the gateway takes must get through between processes as well, with what stands around it. */
export function callLimits(values: Values): {
  readonly client: Partial<ClientLimits>
  readonly server: Partial<ServerLimits>
} {
  const { 'gateway.bodyBytesMax': body = 0, 'gateway.answerBytesMax': answer = 0 } = values
  return {
    client: { answerBytesMax: Math.max(defaultClientLimits.answerBytesMax, answer) },
    server: {
      answerBytesMax: Math.max(defaultServerLimits.answerBytesMax, answer),
      bodyBytesMax: Math.max(defaultServerLimits.bodyBytesMax, body + AROUND_BODY_BYTES),
    },
  }
}

/** As much as the defaults leave for it. */
const AROUND_BODY_BYTES = defaultServerLimits.bodyBytesMax - defaultLimits.bodyBytesMax
