import { AtollError } from '@atoll/host'
import type { Log } from '@atoll/log/driver'
import type { StoreDriver } from '@atoll/store/driver'

// What a process without services stands on. It needs no store and no log, so it gets none, and no rights to any.

const refuse = (): never => {
  throw new AtollError('UNAVAILABLE', 'no service runs in this process, so it has neither stores nor a log')
}

export const noStores: StoreDriver = {
  capabilities: { sql: 'sqlite', persistent: false, canBeDurable: false, groupsCommits: false, writesQueuedMax: 0 },
  open: async () => refuse(),
  openReader: refuse,
  exists: async () => refuse(),
  remove: async () => refuse(),
  examine: async () => refuse(),
  close: async () => {},
}

export const noLog: Log = {
  capabilities: { checksAppends: true, persistent: false, canBeDurable: false, dataBytesMax: 0 },
  append: async () => refuse(),
  read: async () => refuse(),
  tail: async () => refuse(),
  watch: refuse,
  examine: async () => refuse(),
  close: async () => {},
}
