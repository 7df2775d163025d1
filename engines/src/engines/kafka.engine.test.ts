import { Admin, ListOffsetTimestamps, Producer } from '@platformatic/kafka'
import { keepsItsPromises } from '../../test/promises.ts'

keepsItsPromises('kafka', {
  async add(url) {
    await ensureTopic(url)
    const producer = new Producer(optionsOf(url))
    try {
      await producer.send({ acks: -1, messages: [{ topic: 'records', value: Buffer.from('one') }] })
    } finally {
      await producer.close()
    }
  },
  async count(url) {
    const admin = new Admin(optionsOf(url))
    try {
      const [topic] = await admin.listOffsets({
        topics: [{ name: 'records', partitions: [{ partitionIndex: 0, timestamp: ListOffsetTimestamps.LATEST }] }],
      })
      return Number(topic!.partitions[0]!.offset) // it answers what it was asked for
    } finally {
      await admin.close()
    }
  },
})

async function ensureTopic(url: string): Promise<void> {
  const admin = new Admin(optionsOf(url))
  try {
    if (!(await admin.listTopics()).includes('records'))
      await admin.createTopics({ topics: ['records'], partitions: 1, replicas: 1 })
  } finally {
    await admin.close()
  }
}

function optionsOf(url: string): { clientId: string; bootstrapBrokers: string[] } {
  return { clientId: 'records', bootstrapBrokers: [new URL(url).host] }
}
