import type { LogRecord } from '@atoll/log/driver'
import { createClient } from 'redis'
import { PARTITIONS } from '../logs.ts'
import { PAGE, readPages, type Raw } from './raw.ts'

/** A stream per source and partition; a batch is one transaction of XADDs, and so one fsync. */
export async function createRawRedis(url: string): Promise<Raw[]> {
  const client = await createClient({ url, RESP: 2 }).connect()
  return [
    {
      name: 'XADD in MULTI',
      async begin(source) {
        const keys = Array.from({ length: PARTITIONS }, (_, partition) => `raw:${source}:${partition}`)
        return {
          async append(records) {
            const multi = client.multi()
            for (const { partition, number, data, ...head } of records)
              multi.xAdd(keys[partition]!, `${number}-0`, { head: JSON.stringify(head), data })
            await multi.exec()
          },
          read: (count) =>
            readPages(count, async (partition, after) => {
              const entries = await client.xRange(keys[partition]!, `(${after}-0`, '+', { COUNT: PAGE })
              return (entries ?? []).map(({ id, message }): LogRecord => {
                // As written above.
                const head = JSON.parse(message.head!) as Omit<LogRecord, 'partition' | 'number' | 'data'>
                return { partition, number: Number(id.slice(0, -2)), data: message.data!, ...head }
              })
            }),
          end: async () => void (await client.del(keys)),
        }
      },
      async close() {
        await client.close()
      },
    },
  ]
}
