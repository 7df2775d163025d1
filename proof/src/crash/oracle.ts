import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { environmentOf, type Plant } from './plant.ts'
import { judgeTrace, parseTrace, type Verdict } from './trace.ts'

// `kill -9` leaves the page cache as it is, so it cannot show that an answer waits for the disk. The order of system
// calls can.

const COMMANDS = 20

/** Runs a small system under strace, sends commands one by one, and judges by the trace when each answer left. */
export async function watchSyncs(plant: Plant): Promise<Verdict> {
  if (spawnSync('strace', ['-V']).status !== 0) throw new Error('the oracle needs strace: apt-get install strace')
  const folder = mkdtempSync(join(tmpdir(), 'atoll-oracle-'))
  const trace = join(folder, 'trace.txt')
  try {
    const strace = [
      '-f',
      '-y',
      '-ttt',
      '-e',
      'trace=fdatasync,fsync,sendto,sendmsg,write,writev,pwrite64,pwritev',
      '-o',
      trace,
    ]
    const child = spawn(
      'strace',
      [...strace, process.execPath, join(import.meta.dirname, 'notebook.ts'), join(folder, 'data')],
      {
        env: { ...process.env, NODE_OPTIONS: '', ...environmentOf(plant) },
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    )
    const closed = once(child, 'close')
    const [url] = (await Promise.race([
      once(createInterface(child.stdout), 'line'),
      closed.then(() => Promise.reject(new Error('the system under strace did not start'))),
    ])) as [string]
    const pid = Number(/^(\d+)/.exec(readFileSync(trace, 'utf8'))![1]) // the first line is the program's own
    for (let count = 1; count <= COMMANDS; count++) {
      const answer = await fetch(`${url}/notes`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ text: `note ${count}` }),
      })
      if (answer.status !== 200) throw new Error(`a command was answered with ${answer.status}`)
      await answer.text()
    }
    process.kill(pid, 'SIGTERM')
    await closed
    const verdict = judgeTrace(parseTrace(readFileSync(trace, 'utf8')), 'notes.db-wal')
    if (verdict.answers !== COMMANDS)
      throw new Error(
        `${COMMANDS} commands were sent, and the trace shows ${verdict.answers} answers; has strace changed how it writes?`,
      )
    return verdict
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
