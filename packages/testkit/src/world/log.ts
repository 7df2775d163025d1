import type { Log, LogRecord } from '@atoll/log/driver'
import { suffer, type Passenger } from './passage.ts'

/** The log as one instance sees it: through its own failures. */
export function logOf(passenger: Passenger, log: Log, onAppend: (source: string, records: readonly LogRecord[]) => void): Log {
  const { actor } = passenger

  async function append(source: string, records: readonly LogRecord[]): Promise<void> {
    const mishap = passenger.passes('append')
    onAppend(source, records)
    if (!mishap) return log.append(source, records)
    // Of what a log takes in part, the first records are there and the others are not.
    if (mishap.crash === 'during' || mishap.fail?.phase === 'during') {
      const part = records.slice(0, Math.floor(actor.host.random() * records.length))
      return suffer(passenger, mishap, async (during) => {
        await log.append(source, part)
        during()
      })
    }
    await suffer(passenger, mishap, () => log.append(source, records))
    if (mishap.repeatMs === undefined) return
    // A second copy arrives when nobody expects it any more, whatever has become of its sender.
    const copy = [...records]
    passenger.surroundings.after(mishap.repeatMs, () => void log.append(source, copy).catch(() => undefined))
  }

  return {
    capabilities: log.capabilities,
    append: (source, records) => actor.receive(append(source, records)),
    read(source, partition, after, limit) {
      const mishap = passenger.passes('read')
      const read = (): ReturnType<Log['read']> => log.read(source, partition, after, limit)
      return actor.receive(mishap ? suffer(passenger, mishap, read) : read())
    },
    tail: (source, partition) => actor.receive(log.tail(source, partition)),
    watch: (source, listener) => log.watch(source, (partition) => actor.whenAwake(() => actor.within(() => listener(partition)))),
    examine: () => log.examine(),
    close: async () => {},
  }
}
