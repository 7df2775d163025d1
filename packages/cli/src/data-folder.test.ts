import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { openDataFolder } from '@atoll/sqlite'
import { fixture, inShell } from '../test/command.ts'
import system from '../test/fixture-system.ts'
import { ask } from './control/client.ts'
import { listenForCommands } from './control/server.ts'
import { noteSystem } from './note.ts'
import { start } from './start.ts'

/** Another account than this one, where this one may take it on: root may write everywhere. */
const account = process.getuid?.() === 0 ? 65_534 : undefined
const main = join(import.meta.dirname, 'main.ts')
const hello = join(import.meta.dirname, '../../../examples/hello/system.ts')

const looks = [['ledger'], ['events'], ['dead-letters'], ['map']] as const
const works = [
  ['replay', 'warehouse.shelves'],
  ['dead-letters', 'redrive'],
  ['dev', fixture, '--port', '0'],
] as const

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'atoll-data-'))
  try {
    await work(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

describe('what is named as a data folder and is none', () => {
  const kinds: readonly (readonly [string, (path: string) => string, RegExp])[] = [
    [
      'a file',
      (path) => (writeFileSync(path, ''), path),
      /^DATA_UNUSABLE: the data folder \S+ is a file, and not a folder\. Mend that, or name another folder/,
    ],
    [
      'a link to nothing',
      (path) => (symlinkSync(`${path}-gone`, path), path),
      /^DATA_UNUSABLE: the data folder \S+ is a link to \S+-gone, which is not there/,
    ],
    ['a place in memory', () => ':memory:', /^COMMAND_USAGE: --data is ':memory:', which names no folder/],
    ['an address', (path) => `file:${path}`, /^COMMAND_USAGE: --data is 'file:/],
    ['nothing at all', () => '', /^COMMAND_USAGE: --data is ''/],
  ]
  for (const [kind, make, message] of kinds) {
    it(`is refused by every command, in one line with a code, and nothing is made: ${kind}`, () =>
      inShell(async ({ run, data }) => {
        const path = make(data)
        const all = await Promise.all([...looks, ...works].map((args) => run(...args, '--data', path)))
        for (const { code, out, err } of all) {
          assert.match(err, message)
          assert.deepEqual([code === 1 || code === 2, out, err.trim().split('\n').length], [true, '', 1])
        }
        assert.deepEqual(
          [existsSync(':memory:'), lstatSync(data, { throwIfNoEntry: false })?.isDirectory() ?? false],
          [false, false],
        )
      }))
  }

  it('is a folder all the same for a program that names one :memory:, with everything in it on disk', () =>
    inFolder(async (folder) => {
      const { running, stop } = await start(system, { data: join(folder, ':memory:') })
      await running.quiet()
      await stop()
      assert.ok(['log.db', 'shop.db', 'warehouse.db'].every((name) => existsSync(join(folder, ':memory:', name))))
    }))
})

describe('a data folder', () => {
  it(
    'on a full disk is refused in one line, and what was noted in it stays: there is room again, and it starts',
    { skip: process.platform !== 'linux' && 'there is no device that is always full' },
    () =>
      inShell(async ({ dev, run, data }) => {
        await (await dev()).stop()
        const noted = readFileSync(join(data, 'system.json'), 'utf8')
        for (const name of ['lock.pid', 'system.json', 'control.json']) {
          symlinkSync('/dev/full', join(data, `${name}.next`)) // where it is written before it takes its place
          const { code, out, err } = await run('dev', fixture, '--port', '0', '--data', data)
          assert.deepEqual([code, out], [1, ''], err)
          assert.match(
            err,
            new RegExp(
              `^STORE_FULL: \\S+${name} cannot be written: the disk is full\\. .*; make room, and start again\n$`,
            ),
          )
          assert.deepEqual(
            readdirSync(data).filter((one) => /next|control|pid/.test(one)),
            [],
          )
          assert.equal(readFileSync(join(data, 'system.json'), 'utf8'), noted)
        }
        await (await dev()).stop()
      }),
  )

  it('that does not say any more whose it is lets no system in, with --fresh or without, and its commands say what to do', () =>
    inFolder(async (data) => {
      await (await start(system, { data })).stop()
      const file = join(data, 'system.json')
      for (const text of [
        '',
        '{"module":"/town',
        'null',
        '[]',
        '{"system":7}',
        '{"system":""}',
        '{"module":5}',
        '{"module":5,"system":"fixture"}',
      ]) {
        writeFileSync(file, text)
        const before = readdirSync(data)
        const starting = async (fresh: boolean): Promise<void> => (await start(system, { data, fresh })).stop()
        const asking = [
          () => starting(false),
          () => starting(true),
          () => Array.fromAsync(ask({ data }, { verb: 'ledger' }, new AbortController().signal)),
        ]
        for (const asked of asking)
          await assert.rejects(asked(), {
            code: 'DATA_UNUSABLE',
            message:
              /system\.json does not say which system ran here last.* delete that file and start that system here/,
          })
        assert.deepEqual(readdirSync(data), before)
      }
      rmSync(file)
      await (await start(system, { data })).stop()
    }))

  it('with a folder where a small file of its own should be says so in one line, and starts once that is moved away', () =>
    inShell(async ({ dev, run, data }) => {
      await (await dev()).stop()
      for (const name of [
        'lock.pid.next',
        'lock.pid',
        'system.json.next',
        'control.json.next',
        'control.json',
        'control.sock',
      ]) {
        mkdirSync(join(data, name))
        const { code, out, err } = await run('dev', fixture, '--port', '0', '--data', data)
        assert.deepEqual([code, out], [1, ''], err)
        assert.match(
          err,
          new RegExp(`^DATA_UNUSABLE: \\S+${name.replace('.next', '')}[ ,][^\n]*\\. Move it away, and start again\n$`),
        )
        rmSync(join(data, name), { recursive: true })
      }
      await (await dev()).stop()
    }))

  it('is not asked for at an address that a note gives and no system has written', () =>
    inShell(async ({ dev, run, data }) => {
      await (await dev()).stop()
      const before = await run('ledger', '--data', data, '--json')
      let calls = 0
      const stranger = createServer((socket) => (calls++, socket.destroy())).listen(0, '127.0.0.1')
      await once(stranger, 'listening')
      const { port } = stranger.address() as AddressInfo // it listens at a port
      try {
        for (const path of [port, String(port), { port }, null]) {
          writeFileSync(join(data, 'control.json'), JSON.stringify({ path, pid: 1, store: '', log: '' }))
          assert.deepEqual(await run('ledger', '--data', data, '--json'), before)
        }
        assert.deepEqual([before.code, calls], [0, 0])
      } finally {
        stranger.close()
      }
    }))

  it('belongs to the system that began in it, also if that did not get ready, or a program started it', () =>
    inShell(async ({ run, data }) => {
      const stranger = createServer().listen(0)
      await once(stranger, 'listening')
      const { port } = stranger.address() as AddressInfo // it listens at a port
      try {
        const taken = await run('dev', fixture, '--data', data, '--port', String(port))
        assert.match(taken.err, /^PORT_TAKEN/)
      } finally {
        stranger.close()
      }
      await (await start(system, { data: `${data}-2` })).stop()
      for (const folder of [data, `${data}-2`]) {
        const before = readdirSync(folder)
        assert.ok(before.includes('shop.db'))
        const { code, err } = await run('dev', hello, '--data', folder, '--port', '0')
        assert.deepEqual(
          [code, /^COMMAND_USAGE: \S+ holds the data of system fixture, and this is system hello/.test(err)],
          [2, true],
          err,
        )
        assert.deepEqual(readdirSync(folder), before)
      }
      assert.equal((await run('ledger', '--data', data)).code, 0)
      assert.match(
        (await run('ledger', '--data', `${data}-2`)).err,
        /does not say where the module of system fixture is; start it once with `atoll dev`/,
      )
    }))

  it('whose process does not answer yet is said to be starting, also when it starts for the first time', () =>
    inFolder(async (folder) => {
      const starting = openDataFolder(folder)
      try {
        for (const request of [{ verb: 'ledger' }, { verb: 'redrive', options: {} }] as const) {
          const asked = Array.fromAsync(ask({ data: folder }, request, new AbortController().signal))
          await assert.rejects(asked, {
            code: 'DATA_IN_USE',
            message: new RegExp(
              `process ${process.pid} has the data and does not answer yet: it is starting, .*\\. Try again;`,
            ),
          })
        }
      } finally {
        starting.close()
      }
    }))

  it('of a system at work is for its owner alone, and so is every file in it', () =>
    inFolder(async (folder) => {
      const before = process.umask(0)
      try {
        const data = join(folder, 'data')
        const { stop } = await start(system, { data })
        noteSystem(data, { module: fixture, system: system.name })
        const stopListening = await listenForCommands(async function* () {}, data, { store: 'here', log: 'here' })
        const open = ['.', ...readdirSync(data)].filter((name) => (statSync(join(data, name)).mode & 0o077) !== 0)
        assert.deepEqual(open, [])
        assert.ok(readdirSync(data).length > 10)
        await stopListening()
        await stop()
      } finally {
        process.umask(before)
      }
    }))

  it('that may only be read is looked at by every command that looks, changes nothing there, and leaves nothing elsewhere; the others say why not', () =>
    inFolder(async (folder) => {
      const data = join(folder, 'data')
      const { running, stop } = await start(system, { data })
      await running.dispatch('shop.place', { input: { sku: 'tea', count: 2 } })
      await running.quiet()
      await stop()
      noteSystem(data, { module: fixture, system: system.name })
      chmodSync(folder, 0o777)
      for (const name of [...readdirSync(data), '.']) {
        if (account !== undefined) chownSync(join(data, name), account, account)
        chmodSync(join(data, name), name === '.' ? 0o500 : 0o400)
      }
      const before = readdirSync(data)
      const run = (args: readonly string[]) =>
        spawnSync(process.execPath, [main, ...args, '--data', data], {
          encoding: 'utf8',
          cwd: folder,
          env: { ...process.env, TMPDIR: folder },
          ...(account !== undefined && { uid: account, gid: account }),
        })
      try {
        for (const args of looks) {
          const { status, stdout, stderr } = run(args)
          assert.deepEqual([status, stderr], [0, ''], `${args}: ${stderr}`)
          if (args[0] === 'events') assert.match(stdout, /order\.placed v1 {2}tea/)
        }
        for (const args of works)
          assert.match(run(args).stderr, /^DATA_UNUSABLE: the data folder \S+ may not be written by this account.*\n$/)
        assert.deepEqual([readdirSync(data), readdirSync(folder)], [before, ['data']])
      } finally {
        chmodSync(data, 0o700)
      }
    }))
})
