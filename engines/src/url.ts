export const engineNames = ['postgres', 'nats', 'kafka', 'rabbitmq', 'redis'] as const
export type EngineName = (typeof engineNames)[number]

/**
 * Where a running engine is reached, with the rights of its administrator: `postgres://…`, `nats://…`,
 * `kafka://host:port`, `rabbitmq://…` (AMQP), `redis://…`. From `ATOLL_ENGINE_POSTGRES` and so on, which `npm run
 * test:engines` sets. Throws if it is not set: a test that needs an engine fails without it.
 */
export function engineUrl(name: EngineName): string {
  const variable = variableOf(name)
  const url = process.env[variable]
  if (url) return url
  throw new Error(
    `${variable} is not set: run the test by \`npm run test:engines\`, or start the engines with \`npm run engines\` and set what it prints`,
  )
}

/** The environment variable by which programs and tests are told where an engine is. */
export function variableOf(name: EngineName): string {
  return `ATOLL_ENGINE_${name.toUpperCase()}`
}
