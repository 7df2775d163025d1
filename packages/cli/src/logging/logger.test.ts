import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { AtollError, type Logger } from '@atoll/host'
import { createJsonLogger, createTerminalLogger } from './logger.ts'

function logged(work: (logger: Logger) => void): string {
  let text = ''
  work(createTerminalLogger('warn', (line) => (text += `${line}\n`)))
  return text
}

function loggedAsJson(work: (logger: Logger) => void): Record<string, unknown> {
  const lines: string[] = []
  work(createJsonLogger('warn', (line) => lines.push(line)))
  assert.equal(lines.length, 1)
  assert.doesNotMatch(lines[0]!, /[^\x20-\x7e]/)
  return JSON.parse(lines[0]!) as Record<string, unknown>
}

const hostile = 'tea\u001b[2J\u009b31m\r\n2026-01-01 all is well\u202e'
/** What a service might hand to its log by mistake. */
const unreadable = {
  get key(): never {
    throw new Error('no')
  },
}

describe('the log on a terminal', () => {
  it('says first what happened, then to whom, then why', () => {
    const text = logged((logger) =>
      logger.warn(
        { key: 'tea', attempts: 2, trace: undefined, error: new AtollError('STORE_FULL', 'no room') },
        'could not commit',
      ),
    )
    assert.match(text, /^\d\d:\d\d:\d\d WARN {2}could not commit {2}key=tea {2}attempts=2\n +STORE_FULL: no room\n$/)
  })

  it('shows where an error comes from that nobody planned, in a few lines', () => {
    const text = logged((logger) => logger.error({ error: new TypeError('x is not a function') }, 'request failed'))
    assert.match(text, /ERROR request failed\n +TypeError: x is not a function\n +at .*logger\.test\.ts/)
    assert.ok(text.split('\n').length < 10)
  })

  it('shows an error of which nobody knows more than its message in one line', () => {
    const again = Object.assign(new AtollError('INTERNAL', 'the warehouse is closed'), { stack: undefined })
    const text = logged((logger) => logger.warn({ key: 'tea', error: again }, 'it will be tried again'))
    assert.match(text, /^\S+ WARN {2}it will be tried again {2}key=tea\n +INTERNAL: the warehouse is closed\n$/)
    const [line] = [loggedAsJson((logger) => logger.warn({ error: again }, 'it will be tried again'))]
    assert.deepEqual(line['error'], { code: 'INTERNAL', message: 'INTERNAL: the warehouse is closed' })
  })

  it('leaves out what is below its level', () => {
    assert.equal(
      logged((logger) => logger.info({}, 'all is well')),
      '',
    )
  })

  it('shows what others wrote on the lines where it belongs', () => {
    const text = logged((logger) =>
      logger.warn({ key: hostile, error: new AtollError('INVALID', hostile) }, `${hostile} failed`),
    )
    assert.doesNotMatch(text, /[^\x20-\x7e\n]/)
    assert.equal(text.split('\n').length, 3)
  })

  it('survives fields that cannot be read', () => {
    assert.match(
      logged((logger) => logger.warn(unreadable, 'it happened')),
      /it happened {2}unreadable=INTERNAL: no\n$/,
    )
    assert.match(
      logged((logger) => logger.warn({ count: 1n }, 'it happened')),
      /it happened {2}unreadable=/,
    )
  })
})

describe('the log as JSON', () => {
  it('has a line for each thing that happened, which a terminal shows as it is', () => {
    const { msg, key, level } = loggedAsJson((logger) => logger.warn({ key: hostile }, hostile))
    assert.deepEqual([msg, key, level], [hostile, hostile, 40])
  })

  it('tells of known errors what they say and why, and where they come from only if nobody planned them', () => {
    const of = (error: unknown): Record<string, unknown> =>
      loggedAsJson((logger) => logger.error({ error }, 'failed'))['error'] as Record<string, unknown>
    const cause = new Error('refused', { cause: new Error('ECONNREFUSED') })
    assert.deepEqual(of(new AtollError('UNAVAILABLE', 'nobody there', { cause, details: { effect: 'none' } })), {
      code: 'UNAVAILABLE',
      message: 'UNAVAILABLE: nobody there',
      details: { effect: 'none' },
      causes: ['refused', 'ECONNREFUSED'],
    })
    for (const code of ['INVALID', 'NOT_FOUND', 'RATE_LIMITED', 'BEHIND', 'STORE_FULL'] as const)
      assert.deepEqual(of(new AtollError(code, 'no')), { code, message: `${code}: no` })
    assert.match(
      String(of(new TypeError('x is not a function'))['stack']),
      /^TypeError: x is not a function\n +at .*logger\.test\.ts/,
    )
    assert.match(String(of(new AtollError('TX_WAITED', 'it waited'))['stack']), /logger\.test\.ts/)
  })

  it('holds no password of an address, also where an error brought one along', () => {
    const error = Object.assign(new TypeError('Invalid URL: postgres://u:hu@sh@db/x'), {
      input: 'postgres://u:hush@db/x',
    })
    const text = JSON.stringify(
      loggedAsJson((logger) => logger.error({ url: 'nats://u:hush@a:4222', error }, 'no way to redis://:hush@c')),
    )
    assert.ok(!text.includes('hush') && !text.includes('hu@sh'), text)
    assert.match(text, /postgres:\/\/u:\*\*\*@db/)
  })

  it('holds no half of a password either, where a line is cut', () => {
    for (let chars = 65_450; chars < 65_536; chars++) {
      let said = ''
      createJsonLogger('warn', (line) => (said = line)).warn(
        { url: `${'x'.repeat(chars)} postgres://u:QQQQ@db` },
        'no way',
      )
      assert.ok(!said.includes('Q') && said.length < 66_000)
    }
  })

  it('survives fields that cannot be read', () => {
    const { msg, unreadable: why } = loggedAsJson((logger) => logger.warn(unreadable, 'it happened'))
    assert.deepEqual([msg, why], ['it happened', 'INTERNAL: no'])
  })
})

/** A process that logs, with what `work` does in it. Nobody reads its log before it is asked for. */
function run(work: string): {
  said: Promise<string>
  log: () => Promise<string>
  ended: Promise<number | null>
  hangUp: () => void
} {
  const from = (file: string): string => JSON.stringify(new URL(file, import.meta.url).href)
  const program = `import { createLogger } from ${from('logger.ts')}\nimport { standardError } from ${from('standard-error.ts')}\nconst logger = createLogger('info')\n${work}`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['pipe', 'pipe', 'pipe'] })
  const read = async (stream: typeof child.stdout): Promise<string> =>
    (await stream.setEncoding('utf8').toArray()).join('')
  return {
    said: once(child.stdout, 'data').then(String),
    log: () => read(child.stderr),
    ended: once(child, 'exit').then(([code]) => code as number | null),
    hangUp() {
      child.stderr.destroy()
      child.stdin.end('nobody reads')
    },
  }
}

const MUCH = `for (let number = 0; number < 10_000; number++) logger.info({ number, text: 'x'.repeat(1_000) }, 'much')`

describe('a process that logs', () => {
  it('goes on and ends while the reader of its log stands still', async () => {
    const { said, ended } = run(`${MUCH}\nconsole.log('it went on')\nsetTimeout(() => process.exit(7), 50)`)
    assert.match(await said, /it went on/)
    assert.equal(await ended, 7)
  })

  it('says how much is missing when its reader goes on', async () => {
    const { said, log } = run(`${MUCH}\nconsole.log('it went on')\nawait standardError.flush(60_000)`)
    assert.match(await said, /it went on/)
    const lines = (await log())
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { number?: number; leftOut?: number })
    const numbers = lines.flatMap(({ number }) => number ?? [])
    assert.deepEqual(
      numbers,
      Array.from({ length: numbers.length }, (_, number) => number),
    )
    assert.equal(numbers.length + lines.reduce((sum, { leftOut = 0 }) => sum + leftOut, 0), 10_000)
  })

  it('goes on when nobody reads its log any more', async () => {
    const { hangUp, said, ended } = run(
      `for await (const _ of process.stdin);\n${MUCH}\nconsole.log('it went on')\nprocess.exitCode = 7`,
    )
    hangUp()
    assert.match(await said, /it went on/)
    assert.equal(await ended, 7)
  })

  it('gets out what it logged last, however it ends', async () => {
    for (const [end, code] of [
      ['process.exit(3)', 3],
      ['', 0],
      ["throw new Error('nobody caught it')", 1],
    ] as const) {
      const { log, ended } = run(
        `for (let number = 0; number < 100; number++) logger.warn({ number }, 'last words')\n${end}`,
      )
      assert.deepEqual([(await log()).match(/last words/g)?.length, await ended], [100, code])
    }
  })
})
