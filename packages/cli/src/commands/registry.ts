import { createRegistry } from '@atoll/calls'
import { AtollError } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { loadConfig } from '../config/config.ts'
import { warnOfReadable } from '../config/readable.ts'
import { readDigits } from '../digits.ts'
import { createLogger } from '../logging/logger.ts'
import { trustOf } from '../serve/process.ts'
import { toldToStop } from './told-to-stop.ts'

export interface RegistryCommandOptions {
  config?: string
  port: string
  host: string
  trustEveryLocalAccount?: boolean
  json?: boolean
}

/** `atoll registry`: where instances make themselves known, until it is told to stop. */
export async function registry(options: RegistryCommandOptions): Promise<void> {
  const told = toldToStop()
  const config = loadConfig({
    file: options.config,
    options: {
      '--trust-every-local-account': {
        key: 'calls.trustEveryLocalAccount',
        text: options.trustEveryLocalAccount ? 'true' : undefined,
      },
    },
  })
  const port = readDigits(options.port)
  if (port === undefined || port > 65_535)
    throw new AtollError(
      'CONFIG_INVALID',
      `--port: expected a port from 0 to 65535; 0 takes a free one, not ${JSON.stringify(options.port)}`,
    )
  const { values } = config
  const logger = createLogger(values['logging.level'] ?? 'info')
  warnOfReadable(config, logger)
  const serving = createRegistry({ host: createNodeHost(), logger, ...trustOf(values) })
  try {
    const { url } = await serving.listen({ port, host: options.host })
    console.log(options.json ? JSON.stringify({ ready: true, url, pid: process.pid }) : `registry ready at ${url}`)
    await told
  } finally {
    await serving.close()
  }
  console.log(options.json ? JSON.stringify({ stopped: true }) : 'stopped')
}
