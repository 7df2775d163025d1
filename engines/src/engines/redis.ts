import type { Engine } from '../engine.ts'
import { findProgram } from '../install/command.ts'
import { installPackage } from '../install/debian.ts'
import { HOST } from '../run/ports.ts'

/** Redis that answers after its file is synced, and never evicts. */
export const redis: Engine = {
  name: 'redis',
  port: 21_479,
  ports: 1,
  stopSignal: 'SIGTERM',

  async install() {
    if (!findProgram('redis-server')) await installPackage('redis-server')
    return {
      async prepare() {},
      command: ({ folder, port }) => ({
        file: findProgram('redis-server') ?? 'redis-server',
        args: Object.entries({ ...settings, bind: HOST, port: String(port), dir: folder }).flatMap(([key, value]) => [
          `--${key}`,
          value,
        ]),
      }),
    }
  },

  url: (port) => `redis://${HOST}:${port}`,

  // While it loads its file it answers -LOADING.
  probe: { send: 'PING\r\n', accepts: (answer) => answer.toString('latin1').startsWith('+PONG') },
}

/** As in compose.yaml. */
export const settings = {
  appendonly: 'yes',
  appendfsync: 'always',
  'no-appendfsync-on-rewrite': 'no',
  save: '',
  maxmemory: '0',
  'maxmemory-policy': 'noeviction',
} as const
