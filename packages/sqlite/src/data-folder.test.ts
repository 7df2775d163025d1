import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import fs, {
  chmodSync,
  chownSync,
  fstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, mock } from 'node:test'
import BetterSqlite3 from 'better-sqlite3'
import { copyDataFolder, openDataFolder, type DataFolder } from './data-folder.ts'
import { openDatabase } from './database.ts'
import { examineSqlite } from './examine.ts'
import { writePrivately } from './private.ts'

const holder = `
  import { openDataFolder } from ${JSON.stringify(join(import.meta.dirname, 'data-folder.ts'))}
  openDataFolder(process.argv[1])
  gc()
  await new Promise(setImmediate)
  gc()
  console.log('held')
  setInterval(() => {}, 1000)
`

/** Another account than this one, where this one may take it on. */
const account = process.getuid?.() === 0 ? 65_534 : undefined

function inFolder(work: (path: string) => Promise<void> | void): Promise<void> {
  const path = mkdtempSync(join(tmpdir(), 'atoll-folder-'))
  return Promise.resolve(work(path)).finally(() => rmSync(path, { recursive: true, force: true }))
}

describe('a data folder', () => {
  it('is refused, naming the process, while another holds it, and free as soon as that is killed', () =>
    inFolder(async (path) => {
      const child = spawn(process.execPath, ['--expose-gc', '--input-type=module', '-e', holder, path], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const exit = once(child, 'exit')
      try {
        await once(child.stdout, 'data')
        assert.throws(() => openDataFolder(path), { code: 'DATA_IN_USE', message: new RegExp(`process ${child.pid};`) })
      } finally {
        child.kill('SIGKILL')
        await exit
      }
      openDataFolder(path).close()
      openDataFolder(path).close()
    }))

  it('is made if it is not there, has one holder within a process too, and can be closed twice', () =>
    inFolder((path) => {
      const folder = openDataFolder(join(path, 'new', 'data'))
      assert.throws(() => openDataFolder(folder.path), {
        code: 'DATA_IN_USE',
        message: new RegExp(`process ${process.pid};`),
      })
      folder.close()
      folder.close()
      openDataFolder(folder.path).close()
    }))

  it('that cannot be one is refused with DATA_UNUSABLE, in words that say why', () =>
    inFolder((path) => {
      writeFileSync(join(path, 'file'), 'a file')
      symlinkSync(join(path, 'gone'), join(path, 'dangling'))
      symlinkSync(join(path, 'circle'), join(path, 'circle'))
      const cases: readonly (readonly [string, RegExp])[] = [
        ['file', /file is a file, and not a folder/],
        ['dangling', /dangling is a link to \S+gone, which is not there/],
        ['file/below', /below lies below a file/],
        ['dangling/below', /below lies below a link to nothing/],
        ['circle', /circle is a link that leads back to itself/],
        ['n'.repeat(300), /has a name that is too long/],
      ]
      for (const [name, message] of cases)
        assert.throws(() => openDataFolder(join(path, name)), { code: 'DATA_UNUSABLE', message })
      assert.deepEqual(readdirSync(path).sort(), ['circle', 'dangling', 'file'])
    }))

  it('that this account may not write, or read, is refused with DATA_UNUSABLE', () =>
    inFolder(async (path) => {
      for (const [mode, message] of [
        [0o500, 'may not be written'],
        [0o300, 'may not be read'],
        [0, 'may not be read'],
      ] as const) {
        const folder = join(path, mode.toString(8))
        mkdirSync(folder)
        chmodSync(path, 0o755)
        chmodSync(folder, mode)
        if (account !== undefined) chownSync(folder, account, account)
        const said = await asStranger(
          `try { openDataFolder(process.argv[1]) } catch (error) { console.log(error.message) }`,
          folder,
        )
        assert.match(said, new RegExp(`^DATA_UNUSABLE: the data folder ${folder} ${message} by this account`))
        chmodSync(folder, 0o700)
      }
    }))

  it("is its owner's alone, with all that is in it, whatever the mask, and also if it was not", () =>
    inFolder((path) => {
      const before = process.umask(0)
      try {
        const data = join(path, 'data')
        const see = (): string[] =>
          ['.', ...readdirSync(data)]
            .sort()
            .map((name) => `${name} ${(statSync(join(data, name)).mode & 0o777).toString(8)}`)
        const open = (): void => {
          const folder = openDataFolder(data)
          const database = openDatabase(join(data, 'a.db'), { applicationId: 0x41740000, formatVersion: 1 })
          database.exec('CREATE TABLE IF NOT EXISTS things (name TEXT); INSERT INTO things VALUES (1)')
          assert.deepEqual(
            see().filter((name) => !name.startsWith('lock-journal')),
            ['. 700', 'a.db 600', 'a.db-shm 600', 'a.db-wal 600', 'lock 600', 'lock.pid 600'],
          )
          assert.ok(see().every((name) => /[67]00$/.test(name)))
          database.close()
          folder.close()
        }
        open()
        for (const name of ['.', 'lock', 'a.db']) chmodSync(join(data, name), name === '.' ? 0o777 : 0o666)
        assert.match(
          examineSqlite(data).findings.find(({ name }) => name === 'sqlite.private')!.message,
          /may open \S+data \(mode 0777\)/,
        )
        open()
        assert.equal(examineSqlite(data).findings.find(({ name }) => name === 'sqlite.private')!.value, 'yes')
      } finally {
        process.umask(before)
      }
    }))

  it('stays as open as it is when it holds other things, too; what is ours in it does not', () =>
    inFolder((path) => {
      writeFileSync(join(path, 'letter.txt'), 'to a friend')
      chmodSync(path, 0o755)
      openDataFolder(path).close()
      assert.deepEqual(
        [path, join(path, 'lock')].map((one) => statSync(one).mode & 0o777),
        [0o755, 0o600],
      )
    }))

  it('is not kept from its owner by another account: that cannot open the lock', () =>
    inFolder(async (path) => {
      chmodSync(path, 0o755)
      writeFileSync(join(path, 'letter.txt'), 'so that others may enter')
      openDataFolder(path).close()
      assert.equal(statSync(join(path, 'lock')).mode & 0o777, 0o600)
      if (account === undefined) return // nobody else is at hand to try
      const said = await asStranger(
        `try { openSync(process.argv[1] + '/lock', 'r'); console.log('open') } catch (error) { console.log(error.code) }`,
        path,
      )
      assert.equal(said, 'EACCES')
    }))

  it('names no process where the note of its holder is none that a holder writes', () =>
    inFolder((path) => {
      const folder = openDataFolder(path)
      for (const note of ['', '\n', '0x1F\n', '-1\n', '1e3\n', '1.5\n', '{}']) {
        writeFileSync(join(path, 'lock.pid'), note)
        assert.throws(() => openDataFolder(path), {
          code: 'DATA_IN_USE',
          message: /in use by a process that does not say who it is, or a program that is not Atoll's/,
        })
      }
      folder.close()
    }))

  it("says so when something that is not Atoll's holds the lock", () =>
    inFolder((path) => {
      openDataFolder(path).close()
      const stranger = new BetterSqlite3(join(path, 'lock'), { readonly: true })
      stranger.exec('BEGIN')
      stranger.prepare('SELECT count(*) FROM sqlite_schema').get()
      assert.throws(() => openDataFolder(path), {
        code: 'DATA_IN_USE',
        message: /a program that is not Atoll's has \S+lock open/,
      })
      stranger.close()
      openDataFolder(path).close()
    }))
})

describe('a small file in a data folder', () => {
  it('is on disk before it takes the place of the one before, so that no loss of power leaves it empty', () =>
    inFolder((path) => {
      const file = join(path, 'note.json')
      const synced = new Map<number, string>()
      const { fsyncSync, renameSync } = fs
      mock.method(fs, 'fsyncSync', (descriptor: number) => {
        fsyncSync(descriptor)
        synced.set(fstatSync(descriptor).ino, readFileSync(`${file}.next`, 'utf8'))
      })
      mock.method(fs, 'renameSync', (from: string, to: string) => {
        assert.deepEqual([to, synced.get(statSync(from).ino)], [file, 'what is noted'])
        renameSync(from, to)
      })
      syncBuiltinESMExports()
      try {
        writePrivately(file, 'what is noted')
      } finally {
        mock.restoreAll()
        syncBuiltinESMExports()
      }
      assert.equal(readFileSync(file, 'utf8'), 'what is noted')
    }))
})

describe('a copy of a data folder', () => {
  const settings = { applicationId: 0x41740000, formatVersion: 1 }

  /** Copies a folder with two databases, while something happens between the one and the other. */
  function copyWhile(path: string, happening: (data: string) => void): string[] {
    const [data, into] = [join(path, 'data'), join(path, 'copy')]
    for (const folder of [data, into]) mkdirSync(folder)
    openDataFolder(data).close()
    for (const name of ['a.db', 'b.db']) openDatabase(join(data, name), settings).close()
    const { copyFileSync } = fs
    let count = 0
    const copying = mock.method(fs, 'copyFileSync', (...args: Parameters<typeof copyFileSync>) => {
      copyFileSync(...args)
      if (++count === 1) happening(data)
    })
    syncBuiltinESMExports()
    try {
      copyDataFolder(data, into)
      return readdirSync(into).sort()
    } finally {
      copying.mock.restore()
      syncBuiltinESMExports()
    }
  }

  it('has every database, as nobody was at work there', () =>
    inFolder((path) => {
      assert.deepEqual(
        copyWhile(path, () => {}),
        ['a.db', 'b.db'],
      )
    }))

  it('is refused with DATA_IN_USE if a system was started meanwhile, also if it has ended again by then', () =>
    inFolder((path) => {
      const open: DataFolder[] = []
      const goings: ((data: string) => void)[] = [
        (data) => open.push(openDataFolder(data)),
        (data) => openDataFolder(data).close(),
        (data) => {
          const database = openDatabase(join(data, 'b.db'), settings)
          database.exec('CREATE TABLE things (name TEXT)')
          database.close()
        },
      ]
      for (const [nth, going] of goings.entries()) {
        mkdirSync(join(path, String(nth)))
        assert.throws(() => copyWhile(join(path, String(nth)), going), { code: 'DATA_IN_USE' }, `going ${nth}`)
      }
      for (const folder of open) folder.close()
    }))
})

/** Runs a script under {@link account}, and resolves with what it says. */
async function asStranger(script: string, argument: string): Promise<string> {
  const imports = `import { openSync } from 'node:fs'; import { openDataFolder } from ${JSON.stringify(join(import.meta.dirname, 'data-folder.ts'))};`
  const child = spawn(process.execPath, ['--input-type=module', '-e', imports + script, argument], {
    stdio: ['ignore', 'pipe', 'inherit'],
    ...(account !== undefined && { uid: account, gid: account }),
  })
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text))
  await once(child, 'close')
  return said.trim()
}
