import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { createNodeHost } from '@atoll/host/node'
import { withFolder } from '../../../test/embedded/world.ts'
import { assertNumbers, numbersTo, readAll } from '../../conformance/records.ts'
import { createEmbeddedLog } from '../../embedded.ts'

const program = join(import.meta.dirname, '../../../test/burst.ts')

/**
 * Appends in a process of its own and kills it after so many acknowledgements. Answers what it acknowledged: stream →
 * last number.
 */
function burst(file: string, acknowledgements: number): Promise<Map<string, number>> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, file], { stdio: ['ignore', 'pipe', 'inherit'] })
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString()
      if (output.split('\n').length > acknowledgements) child.kill('SIGKILL')
    })
    child.on('error', reject)
    child.on('close', (_code, signal) => {
      if (signal !== 'SIGKILL') return reject(new Error('the program that appends ended by itself'))
      const lines = output.split('\n').slice(0, -1) // what is after the last line end is half a line
      resolve(
        new Map(
          lines
            .map((line) => line.split(' '))
            .map(([source, partition, last]) => [`${source} ${partition}`, Number(last)]),
        ),
      )
    })
  })
}

describe('an embedded log whose process is killed in the midst of appends', () => {
  it('has every acknowledged record, each number once, and goes on from there', () =>
    withFolder(async (folder) => {
      const file = join(folder, 'log.db')
      for (const acknowledgements of [1, 60, 250, 700]) {
        const acknowledged = await burst(file, acknowledgements)
        assert.ok(acknowledged.size > 0)
        const log = await createEmbeddedLog({ file, host: createNodeHost() })
        for (const [stream, last] of acknowledged) {
          const [source, partition] = stream.split(' ') as [string, string]
          const records = await readAll(log, source, Number(partition))
          assert.ok(
            records.length >= last,
            `${last} records of ${stream} were acknowledged, and ${records.length} are left`,
          )
          assertNumbers(
            records.map((record) => record.number),
            numbersTo(records.length),
          )
          assert.equal(new Set(records.map((record) => record.id)).size, records.length)
          assert.equal((await log.tail(source, Number(partition)))?.number, records.length)
        }
        await log.close()
      }
    }))
})
