import assert from 'node:assert/strict'
import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { describe, it } from 'node:test'

const watched = `
  import { readSync } from 'node:fs'
  import Database from 'better-sqlite3'
  import { watchLoop } from ${JSON.stringify(new URL('watchdog.ts', import.meta.url).href)}
  let about
  let isFirst
  const logger = { warn: ({ error }, message) => console.log(error.message, message) }
  const watch = () => watchLoop({ about: () => about, onFirst: (listener) => (isFirst = listener) }, logger, 1_000)`

/** A handler that is inside of a read for as long as nothing comes, and then computes for a moment. */
const hanging = `${watched}
  watch()
  setImmediate(() => {
    about = { handling: 'notes on note.taken' }
    isFirst()
    readSync(0, Buffer.alloc(1))
    for (const endMs = performance.now() + 250; performance.now() < endMs;);
    about = undefined
    console.log('it went on')
    process.exit(7)
  })`

/** A migration that takes its time. */
const migrating = `${watched}
  watch()
  setImmediate(() => new Database(':memory:').prepare('WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n').get())`

describe('the watchdog', () => {
  it('blames no handler for what hung and was no JavaScript, such as a disk, when that is over', async () => {
    const { child, said } = run(hanging, (text) => {
      if (text.includes('it does not answer')) child.stdin.end('x') // and the disk is back
    })
    const ended = once(child, 'exit')
    assert.deepEqual(
      [(await child.stdout.setEncoding('utf8').toArray()).join(''), (await ended)[0]],
      ['it went on\n', 7],
      said(),
    )
    assert.match(said(), /the process goes on/)
    assert.doesNotMatch(said(), /the process is ended/)
  })

  it('ends no migration that takes its time', async () => {
    const { child, said } = run(migrating, (text) => {
      if (text.includes('no handler has run yet')) child.kill('SIGTERM')
    })
    const [, signal] = (await once(child, 'exit')) as [number | null, string | null]
    assert.deepEqual([signal, /the process is ended/.test(said())], ['SIGTERM', false], said())
  })

  for (const [how, going] of [
    ['ends', `process.once('worker', (worker) => setImmediate(() => worker.terminate()))`],
    [
      'fails',
      `process.once('worker', (worker) => setImmediate(() => (worker.emit('error', new Error('no memory left')), worker.terminate())))`,
    ],
  ] as const) {
    it(`says once that nobody watches any more if its thread ${how}, and the process goes on`, async () => {
      const { child } = run(
        `${watched}
        ${going}
        process.once('worker', (worker) => worker.once('exit', () => setImmediate(() => console.log('it went on'))))
        watch()
        setInterval(() => {}, 1_000_000)
        process.stdin.resume().once('end', () => process.exit(0))`,
        () => undefined,
      )
      let told = ''
      for await (const text of child.stdout.setEncoding('utf8')) {
        told += text
        if (told.includes('it went on')) child.stdin.end()
      }
      assert.match(
        told,
        how === 'fails'
          ? /^no memory left nobody watches the loop .*\nit went on\n$/
          : /^its thread ended with code \d nobody watches the loop .*\nit went on\n$/,
      )
    })
  }

  it('lets a process run in which there may be no thread', async () => {
    const { child } = run(
      `${watched}
      watch()
      setImmediate(() => console.log('it went on'))`,
      () => undefined,
      ['--permission', '--allow-fs-read=*', '--allow-addons'],
    )
    const told = (await child.stdout.setEncoding('utf8').toArray()).join('')
    assert.match(told, /nobody watches the loop .*\nit went on\n$/)
  })
})

type Child = ChildProcessByStdio<Writable, Readable, Readable>

/** A process of its own; `hear` hears all that it has said on standard error so far. */
function run(
  program: string,
  hear: (said: string) => void,
  flags: readonly string[] = [],
): { child: Child; said: () => string } {
  const child = spawn(process.execPath, [...flags, '--input-type=module', '-e', program], {
    stdio: ['pipe', 'pipe', 'pipe'],
    cwd: import.meta.dirname,
  })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text
    hear(said)
  })
  return { child, said: () => said }
}
