import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { judgeTrace, parseTrace } from './trace.ts'

const write = '7 1700000000.000001 pwrite64(21</data/shop.db-wal>, "\\0\\1"..., 4096, 56) = 4096'
const sync = '7 1700000000.000002 fdatasync(21</data/shop.db-wal>) = 0'
const answer =
  '7 1700000000.000003 writev(25<socket:[99]>, [{iov_base="HTTP/1.1 200 OK\\r\\n"..., iov_len=99}], 1) = 99'
const judge = (...lines: string[]) => judgeTrace(parseTrace(lines.join('\n')), 'shop.db-wal')

describe('a trace of system calls', () => {
  it('is good when the file is synced between its last write and the answer', () => {
    assert.deepEqual(judge(write, sync, answer, write, write, sync, answer), { answers: 2, syncs: 2, violations: [] })
  })

  it('is bad when an answer leaves before the sync, or with none, or after one that failed', () => {
    assert.match(
      judge(write, answer, sync).violations[0]!,
      /^answer 1 left before shop\.db-wal was synced: written at line 1 of the trace, answered at line 2$/,
    )
    assert.equal(judge(write, answer).violations.length, 1)
    assert.equal(
      judge(write, '7 1.2 fdatasync(21</data/shop.db-wal>) = -1 EIO (Input/output error)', answer).violations.length,
      1,
    )
  })

  it('is bad when something is written after the sync, or another file is synced', () => {
    assert.equal(judge(write, sync, write, answer).violations.length, 1)
    assert.equal(judge(write, sync.replace('shop', 'other'), answer).violations.length, 1)
  })

  it('is bad when an answer leaves and nothing was written for it', () => {
    assert.deepEqual(judge(write, sync, answer, answer).violations, [
      'answer 2 left without a write to shop.db-wal before it',
    ])
  })

  it('counts a sync of another thread from its return, not from its call', () => {
    const begun = '8 1.1 fdatasync(21</data/shop.db-wal> <unfinished ...>'
    const returned = '8 1.2 <... fdatasync resumed>) = 0'
    assert.deepEqual(judge(write, begun, returned, answer).violations, [])
    assert.equal(judge(write, begun, answer, returned).violations.length, 1)
    assert.equal(judge(write, begun, answer).violations.length, 1)
  })

  it('does not mind answers that promise nothing', () => {
    assert.deepEqual(judge(write, answer.replace('200 OK', '503 No')), { answers: 0, syncs: 0, violations: [] })
  })
})
