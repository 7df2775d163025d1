import { AtollError } from '@atoll/host'
import type { Log, LogRecord } from '../../src/driver.ts'
import { careless, honest, type Saboteur } from './saboteur.ts'

export const awaySaboteurs: readonly Saboteur[] = [
  {
    breaks: 'it keeps what it refused, and writes it when its engine is back',
    caughtBy: ['away.refuses'],
    create(storage) {
      const log = honest(storage)
      const late: [string, readonly LogRecord[]][] = []
      const write = async (): Promise<void> => {
        if (!storage.away) for (const [source, records] of late.splice(0)) await log.append(source, records)
      }
      return {
        ...log,
        append: (source, records) =>
          log
            .append(source, records)
            .catch((error: unknown) => (storage.away && late.push([source, records]), Promise.reject(error))),
        async tail(source, partition) {
          await write()
          return log.tail(source, partition)
        },
      }
    },
  },
  {
    breaks: 'it answers from memory where it cannot ask',
    caughtBy: ['away.refuses', 'away.opens', 'away.silent'],
    create(storage) {
      const log = honest(storage)
      return {
        ...log,
        read: (source, partition, after, limit) =>
          log
            .read(source, partition, after, limit)
            .catch((error: unknown) => (storage.away ? [] : Promise.reject(error))),
      }
    },
  },
  {
    breaks: 'it refuses for ever once it has been refused',
    caughtBy: ['away.refuses', 'away.hints', 'away.silent'],
    create(storage) {
      const log = honest(storage)
      let isLost = false
      const remember = (error: unknown): never => {
        isLost ||= storage.away === true
        throw error
      }
      const ask = <T>(call: () => Promise<T>): Promise<T> => {
        const was = storage.away
        storage.away ||= isLost
        return call()
          .catch(remember)
          .finally(() => (storage.away = was))
      }
      return {
        ...log,
        append: (source, records) => ask(() => log.append(source, records)),
        tail: (source, partition) => ask(() => log.tail(source, partition)),
      }
    },
  },
  {
    breaks: 'it does not come to life if its engine was away at its opening',
    caughtBy: ['away.opens', 'away.opens-silent'],
    create(storage) {
      const log = honest(storage)
      if (!storage.away) return log
      return { ...log, append: (source, records) => log.append(source, records).finally(() => (storage.away = true)) }
    },
  },
  {
    breaks: 'it hears no others any more after an outage',
    caughtBy: ['away.hints'],
    create(storage) {
      const log = honest(storage)
      let wasAway = false
      return {
        ...log,
        tail(source, partition) {
          wasAway ||= storage.away === true
          return log.tail(source, partition)
        },
        watch: (source, listener) => log.watch(source, (partition) => wasAway || listener(partition)),
      }
    },
  },
  {
    breaks: 'it waits for ever for an engine that answers nothing',
    caughtBy: ['away.silent', 'away.closes'],
    create(storage) {
      const log = honest(storage)
      const under = new Set<Promise<void>>()
      const append: Log['append'] = (source, records) => {
        const call = storage.away ? new Promise<void>(() => {}) : log.append(source, records)
        under.add(call)
        return call
      }
      return {
        ...log,
        append,
        async close() {
          if (storage.away) await Promise.all(under)
          await log.close()
        },
      }
    },
  },
  {
    breaks: 'it writes again what it has written, when the answer was lost',
    caughtBy: ['away.lost-answer', 'away.torn'],
    create: careless,
  },
  {
    breaks: 'it says that it has written what it has yet to write',
    caughtBy: ['away.restart'],
    create(storage) {
      const log = honest(storage)
      return {
        ...log,
        async append(source, records) {
          await log.append(source, [])
          setImmediate(() => void log.append(source, records).catch(() => undefined))
        },
      }
    },
  },
  {
    breaks: 'it says which password was refused',
    caughtBy: ['away.credentials'],
    create(storage) {
      const log = honest(storage)
      const told = <T>(call: Promise<T>): Promise<T> =>
        call.catch((error: unknown) => {
          const { code, message } = AtollError.from(error)
          throw new AtollError(code, `${message}: ${storage.wrongPassword}`)
        })
      return { ...log, tail: (source, partition) => told(log.tail(source, partition)) }
    },
  },
]
