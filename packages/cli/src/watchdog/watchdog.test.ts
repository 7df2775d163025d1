import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, it } from 'node:test'

/** A handler that is inside of a read for as long as nothing comes, and then computes for a moment. */
const program = `
  import { readSync } from 'node:fs'
  import { watchLoop } from ${JSON.stringify(new URL('watchdog.ts', import.meta.url).href)}
  let about
  watchLoop({ about: () => about }, 2_000)
  setImmediate(() => {
    about = { handling: 'notes on note.taken' }
    readSync(0, Buffer.alloc(1))
    for (const endMs = performance.now() + 500; performance.now() < endMs;);
    about = undefined
    console.log('it went on')
    process.exit(7)
  })`

describe('the watchdog', () => {
  it('blames no handler for what hung and was no JavaScript, such as a disk, when that is over', async () => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['pipe', 'pipe', 'pipe'] })
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text
      if (said.includes('it does not answer')) child.stdin.end('x') // and the disk is back
    })
    const ended = once(child, 'exit')
    assert.deepEqual([(await child.stdout.setEncoding('utf8').toArray()).join(''), (await ended)[0]], ['it went on\n', 7], said)
    assert.match(said, /the process goes on/)
    assert.doesNotMatch(said, /the process is ended/)
  })
})
