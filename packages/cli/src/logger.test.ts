import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AtollError } from '@atoll/host'
import { createTerminalLogger } from './logger.ts'

function logged(work: (logger: ReturnType<typeof createTerminalLogger>) => void): string {
  let text = ''
  work(createTerminalLogger('warn', (line) => (text += line)))
  return text
}

describe('the log on a terminal', () => {
  it('says first what happened, then to whom, then why', () => {
    const text = logged((logger) => logger.warn({ key: 'tea', attempts: 2, trace: undefined, error: new AtollError('STORE_FULL', 'no room') }, 'could not commit'))
    assert.match(text, /^\d\d:\d\d:\d\d WARN {2}could not commit {2}key=tea {2}attempts=2\n +STORE_FULL: no room\n$/)
  })

  it('shows where an error comes from that nobody planned, in a few lines', () => {
    const text = logged((logger) => logger.error({ error: new TypeError('x is not a function') }, 'request failed'))
    assert.match(text, /ERROR request failed\n +TypeError: x is not a function\n +at .*logger\.test\.ts/)
    assert.ok(text.split('\n').length < 10)
  })

  it('leaves out what is below its level', () => {
    assert.equal(logged((logger) => logger.info({}, 'all is well')), '')
  })
})
