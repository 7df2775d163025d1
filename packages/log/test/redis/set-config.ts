// Sets a setting of a Redis and prints what it was. A program, so that a test can wait for it without giving way.
import { createClient } from 'redis'

const [, , url, name, value] = process.argv
const client = createClient({ url: url! })
await client.connect()
const before = await client.configGet(name!)
await client.configSet(name!, value!)
process.stdout.write(before[name!] ?? '')
client.destroy()
