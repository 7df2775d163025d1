import type { Host } from '@atoll/host'
import type { Log, LogRecord } from '@atoll/log/driver'
import { createEmbeddedLog, createMemoryFile, type MemoryFile } from '@atoll/log/embedded'
import { suffer, type Passenger } from './passage.ts'

/**
 * The log of a world, in memory, which its instances share. What is in it can be kept, and put back while none of them
 * runs.
 */
export class SharedLog {
  readonly port: Log
  readonly #file: MemoryFile
  readonly #host: Host
  #log: Log

  static async open(host: Host, onAppended: (records: readonly LogRecord[]) => void): Promise<SharedLog> {
    const file = createMemoryFile()
    return new SharedLog(file, host, await createEmbeddedLog({ file, host }), onAppended)
  }

  private constructor(file: MemoryFile, host: Host, log: Log, onAppended: (records: readonly LogRecord[]) => void) {
    this.#file = file
    this.#host = host
    this.#log = log
    this.port = {
      capabilities: log.capabilities,
      // What the log refused, it does not have: only what it took has its number.
      append: async (source, records) => {
        await this.#log.append(source, records)
        onAppended(records)
      },
      read: (...place) => this.#log.read(...place),
      tail: (...place) => this.#log.tail(...place),
      watch: (...listener) => this.#log.watch(...listener),
      examine: () => this.#log.examine(),
      close: async () => {},
    }
  }

  /** What is in it now; undefined in the midst of a commit. */
  copy(): Uint8Array | undefined {
    return this.#file.copy()
  }

  /** Puts a copy in its place; undefined: an empty log. */
  async replace(copy: Uint8Array | undefined): Promise<void> {
    await this.#log.close()
    this.#file.replace(copy)
    this.#log = await createEmbeddedLog({ file: this.#file, host: this.#host })
  }
}

/** The log as one instance sees it: through its own failures. */
export function logOf(
  passenger: Passenger,
  log: Log,
  onAppend: (source: string, records: readonly LogRecord[]) => void,
): Log {
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
    tail(source, partition) {
      const mishap = passenger.passes('tail')
      const tail = (): ReturnType<Log['tail']> => log.tail(source, partition)
      return actor.receive(mishap ? suffer(passenger, mishap, tail) : tail())
    },
    watch: (source, listener) =>
      log.watch(source, (partition) => actor.whenAwake(() => actor.within(() => listener(partition)))),
    examine: () => log.examine(),
    close: async () => {},
  }
}
