import assert from 'node:assert/strict'
import { once } from 'node:events'
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import { ask } from './client.ts'
import { CONTROL_FILE, listenForCommands, type Control } from './server.ts'

/** Another account than this one, where this one may give things to it. */
const account = process.getuid?.() === 0 ? 65_534 : undefined
const place = { store: 'here', log: 'here' }

/** A data folder below one of its own; `name` may make its path too long for a socket. */
async function inFolder(name: string, work: (data: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'atoll-cli-'))
  try {
    const data = join(folder, name)
    mkdirSync(data, { mode: 0o700 })
    await work(data)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const deep = 'd'.repeat(120)

function noted(data: string): Control {
  return JSON.parse(readFileSync(join(data, CONTROL_FILE), 'utf8')) as Control // it was written just now
}

function askLedger(data: string): Promise<unknown[]> {
  return Array.fromAsync(ask({ data }, { verb: 'ledger' }, new AbortController().signal))
}

describe('the socket of a running system', () => {
  it('lies where nobody else can put or guess anything, also if the path of the data folder is too long for it, and goes with the system', () =>
    inFolder(deep, async (data) => {
      const guessable = join(tmpdir(), `atoll-${process.pid}.sock`)
      mkdirSync(guessable) // as another account may
      try {
        const paths = new Set<string>()
        for (let times = 0; times < 2; times++) {
          const end = await listenForCommands(
            async function* () {
              yield 'a line'
            },
            data,
            place,
          )
          const { path } = noted(data)
          const { mode, uid } = statSync(dirname(path))
          assert.deepEqual([mode & 0o077, uid, statSync(path).mode & 0o077], [0, process.getuid?.() ?? uid, 0])
          assert.deepEqual(await askLedger(data), ['a line'])
          await end()
          assert.deepEqual([dirname(path), join(data, CONTROL_FILE)].filter(existsSync), [])
          paths.add(path)
        }
        assert.equal(paths.size, 2)
      } finally {
        rmSync(guessable, { recursive: true })
      }
    }))

  it('is said to be impossible where the folder for temporary files is too deep, too, and nothing is left there', () =>
    inFolder(deep, async (data) => {
      const before = process.env['TMPDIR']
      process.env['TMPDIR'] = data
      try {
        await assert.rejects(
          listenForCommands(async function* () {}, data, place),
          { code: 'DATA_UNUSABLE', message: /too long for a socket\. Choose a shorter one of either \(TMPDIR\)/ },
        )
        assert.deepEqual([existsSync(join(data, CONTROL_FILE)), readdirSync(data)], [false, []])
      } finally {
        if (before === undefined) delete process.env['TMPDIR']
        else process.env['TMPDIR'] = before
      }
    }))

  it(
    'is asked nothing if it, or the folder that it lies in, belongs to another account',
    { skip: account === undefined && 'only root may give a file away' },
    () =>
      inFolder('data', async (data) => {
        const folder = join(data, 'elsewhere')
        const path = join(folder, 'control.sock')
        mkdirSync(folder)
        let connections = 0
        const stranger = createServer(
          (socket) => (
            connections++,
            socket.end(`${JSON.stringify({ item: 'all is well' })}\n${JSON.stringify({ end: true })}\n`)
          ),
        ).listen(path)
        await once(stranger, 'listening')
        try {
          writeFileSync(join(data, CONTROL_FILE), JSON.stringify({ path, pid: 1, ...place }))
          for (const given of [path, folder]) {
            chownSync(given, account!, account!) // else it is skipped
            await assert.rejects(askLedger(data), {
              code: 'DATA_UNUSABLE',
              message:
                /control\.sock, where process 1 is to be asked .* belongs to account 65534, .*nothing was asked there/,
            })
            assert.equal(connections, 0)
            chownSync(given, 0, 0)
          }
          assert.deepEqual(await askLedger(data), ['all is well'])
          // whose folder it is, they answer for it
          for (const given of [data, folder, path]) chownSync(given, account!, account!)
          assert.deepEqual(await askLedger(data), ['all is well'])
        } finally {
          stranger.close()
        }
      }),
  )
})
