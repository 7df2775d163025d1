import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { build, root } from './pack/build.ts'
import { importsOf } from './pack/imports.ts'
import { toPublished } from './pack/manifest.ts'
import { npm, tarball } from './pack/tarball.ts'

const hello = `${root}examples/hello`

describe('packages as they are published', () => {
  let folder: string
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'atoll-packed-'))
    install(folder)
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  it('run the hello example outside the repository', () => {
    assert.equal(node('main.ts'), readFileSync(`${hello}/expected.txt`, 'utf8'))
  })

  it('bring the atoll command', () => {
    assert.match(node('node_modules/@atoll/cli/main.js', '--help'), /^Usage: atoll /)
    assert.match(npm(['exec', '--offline', '--no', '--', 'atoll', '--help'], folder), /^Usage: atoll /)
  })

  it('bring types for the code that uses them', () => {
    typeCheck('system.ts')
    writeFileSync(
      join(folder, 'wrong.ts'),
      "import { greeted } from './system.ts'\nexport const name: 'another.name' = greeted.name\n",
    )
    assert.throws(
      () => typeCheck('wrong.ts'),
      ({ stdout }: { stdout: string }) => stdout.startsWith('wrong.ts(2,14): error TS2322'),
    )
  })

  it('bring the testkit, whose first example is a test that passes', () => {
    const [, example] = /^```ts\n([\s\S]*?)^```/m.exec(readFileSync(`${root}packages/testkit/README.md`, 'utf8'))!
    writeFileSync(join(folder, 'readme.test.ts'), example!)
    const { NODE_TEST_CONTEXT: _ours, ...env } = process.env // it is a run of its own, and not part of this one
    assert.match(
      execFileSync(process.execPath, ['--test', 'readme.test.ts'], { cwd: folder, encoding: 'utf8', env }),
      /pass 1\n[^]*fail 0\n/,
    )
  })

  it('contain what runs, its declarations and the licence, and no tests', () => {
    for (const name of ['atoll', ...readdirSync(join(folder, 'node_modules/@atoll')).map((name) => `@atoll/${name}`)]) {
      const paths = readdirSync(join(folder, 'node_modules', name), { recursive: true, encoding: 'utf8' })
      assert.ok(paths.includes('LICENSE'), name)
      assert.deepEqual(
        paths.filter((path) => /\.test\.|(?<!\.d)\.ts$/.test(path)),
        [],
        name,
      )
    }
  })

  function node(...args: string[]): string {
    return execFileSync(process.execPath, args, { cwd: folder, encoding: 'utf8' })
  }

  function typeCheck(path: string): void {
    node(
      `${root}node_modules/typescript/bin/tsc`,
      ...'--ignoreConfig --noEmit --strict --module nodenext --target es2024 --allowImportingTsExtensions'.split(' '),
      path,
    )
  }
})

describe('packing', () => {
  it('points exports and commands at the built files, and leaves development out', () => {
    const source = {
      name: 'one',
      bin: { one: './src/main.ts' },
      exports: { '.': './src/index.ts', './deep': './src/deep/er.ts' },
      devDependencies: { two: '1.0.0' },
    }
    assert.deepEqual(toPublished(source), {
      name: 'one',
      bin: { one: './main.js' },
      exports: {
        '.': { types: './index.d.ts', default: './index.js' },
        './deep': { types: './deep/er.d.ts', default: './deep/er.js' },
      },
      files: ['**/*.js', '**/*.d.ts'],
    })
  })

  it('refuses an export that is not built', () => {
    assert.throws(() => toPublished({ name: 'one', exports: { '.': './lib/index.js' } }), /lib\/index\.js is not built/)
  })

  it('sees every package that a module imports', () => {
    const code = [
      "import a from '@one/two/three'",
      "import {\n  b,\n} from 'four/five'",
      "import 'six'",
      "export * from 'seven'",
      "import { join } from 'node:path'",
      "import c from './c.js'",
      "export const d = 'data.json'",
      "await import('eight')",
    ]
    assert.deepEqual(importsOf(code.join('\n')), ['@one/two', 'four', 'six', 'seven', 'eight'])
  })
})

/** Packs every package and installs the tarballs, and what the example needs besides them, into `folder`. */
function install(folder: string): void {
  const tarballs = build(join(folder, 'dist')).map((path) => tarball(path, join(folder, 'tarballs')))
  const { dependencies } = JSON.parse(readFileSync(`${hello}/package.json`, 'utf8')) as {
    dependencies: Record<string, string>
  } // our own
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }')
  npm(['install', '--no-audit', '--no-fund', '--prefer-offline', ...tarballs, `zod@${dependencies['zod']}`], folder)
  rmSync(join(folder, 'dist'), { recursive: true })
  for (const name of ['system.ts', 'main.ts']) copyFileSync(`${hello}/${name}`, join(folder, name))
}
