import { attacks } from './index.ts'
import { Outcomes } from './attack.ts'
import type { Target } from './target.ts'

// A process that attacks: node attacker.ts <name> <target as JSON> <seconds>. It is not the one that measures, so that
// it takes nothing of its time. It says when it begins, ends after its seconds, or when its parent does, and says last
// what came of what it sent.

const [name, target, seconds] = process.argv.slice(2)
const attack = attacks.find((one) => one.name === name)! // its parent has looked
const over = new AbortController()
process.once('disconnect', () => over.abort())
setTimeout(() => over.abort(), Number(seconds) * 1_000)
const outcomes = new Outcomes()
process.send?.('begun')
await attack.run(JSON.parse(target!) as Target, outcomes, over.signal) // its parent has written it
if (!process.connected) process.exit()
process.send!(outcomes.toObject(), () => process.exit())
