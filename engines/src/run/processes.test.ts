import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { describe, it, type TestContext } from 'node:test'
import { halt, isAlive, membersOf, signal } from './processes.ts'
import { until } from '../waiting.ts'

/** Runs a script in a process group of its own and returns its process id and the numbers that it prints first. */
async function run(context: TestContext, script: string): Promise<{ pid: number; printed: number[] }> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
    cwd: import.meta.dirname,
  })
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
  const { printed } = JSON.parse(line) as { printed: number[] }
  context.after(() => [child.pid!, ...printed].forEach((pid) => signal(pid, 'SIGKILL')))
  return { pid: child.pid!, printed }
}

const spawnOne = `import { spawn } from 'node:child_process'
const one = spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' })`

describe('processes of an engine', () => {
  it('are also those children that have a group of their own', async (context) => {
    const { pid, printed } = await run(
      context,
      `${spawnOne}; console.log(JSON.stringify({ printed: [one.pid] })); setInterval(() => {}, 1000)`,
    )
    assert.deepEqual(membersOf(pid).sort(), [pid, ...printed].sort())
    assert.deepEqual((await halt(pid)).sort(), [pid, ...printed].sort())
    for (const member of [pid, ...printed]) signal(member, 'SIGKILL')
    await until('all are gone', () => ![pid, ...printed].some(isAlive))
  })

  it('end when the process that guards them is killed', async (context) => {
    const { pid, printed } = await run(
      context,
      `${spawnOne}; import { guard } from './guard.ts'; guard(one.pid); console.log(JSON.stringify({ printed: [one.pid] })); setInterval(() => {}, 1000)`,
    )
    assert.ok(printed.every(isAlive))
    signal(pid, 'SIGKILL')
    await until('all are gone', () => !printed.some(isAlive))
  })

  it('are let alone by a guard that was released', async (context) => {
    const { pid, printed } = await run(
      context,
      `${spawnOne}; import { guard } from './guard.ts'; guard(one.pid)(); console.log(JSON.stringify({ printed: [one.pid] })); setInterval(() => {}, 1000)`,
    )
    // Whatever is left of the guard would still be a child of the one that it guards for.
    await until('the guard is gone', () => membersOf(pid).length === 2)
    signal(pid, 'SIGKILL')
    await until('its child is gone', () => !isAlive(pid))
    assert.ok(printed.every(isAlive))
  })
})
