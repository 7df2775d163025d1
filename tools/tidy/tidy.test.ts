import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { checkExports } from './exports.ts'
import { checkImports } from './imports.ts'
import { checkPages } from './pages.ts'
import { checkConflicts, checkText } from './text.ts'

const messages = (findings: readonly { message: string; line?: number }[]) =>
  findings.map(({ line, message }) => `${line ?? '-'} ${message}`)

describe('tidy', () => {
  it('finds imports against the order of the packages', () => {
    const files = [
      { path: 'packages/host/src/a.ts', text: "import { x } from '@atoll/log/driver'\n" },
      {
        path: 'packages/atoll/src/b.ts',
        text: "import {\n  readFile,\n} from 'node:fs'\nimport Database from 'better-sqlite3'\n",
      },
      { path: 'packages/log/src/c.ts', text: "import { y } from '../../store/src/driver.ts'\n" },
      { path: 'packages/log/src/d.ts', text: "import { y } from './c.ts'\nimport { z } from '@atoll/sqlite'\n" },
    ]
    assert.deepEqual(
      checkImports(files).map(({ path, line }) => `${path}:${line}`),
      ['packages/host/src/a.ts:1', 'packages/atoll/src/b.ts:1', 'packages/atoll/src/b.ts:4', 'packages/log/src/c.ts:1'],
    )
  })

  it("finds what a package offers that is another package's", () => {
    const text = "export { AtollError } from '@atoll/host'\nexport { Log } from './log.ts'\n"
    assert.deepEqual(messages(checkImports([{ path: 'packages/log/src/driver.ts', text }])), [
      '1 offers what @atoll/host offers; whoever needs it imports it from there',
    ])
  })

  it('finds what a driver imports of another one, and not what they share', () => {
    const text =
      "import { Listeners } from '../embedded/listeners.ts'\nimport { Connection } from '../shared/connection.ts'\nimport { x } from './names.ts'\n"
    assert.deepEqual(messages(checkImports([{ path: 'packages/log/src/drivers/kafka/a.ts', text }])), [
      '1 imports ../embedded/listeners.ts, which is of another driver; lift what both need to drivers/shared/',
    ])
  })

  it('finds what a folder of the runtime imports from one that stands above it', () => {
    const file = (path: string, specifier: string) => ({
      path: `packages/atoll/src/runtime/${path}`,
      text: `import { x } from '${specifier}'\n`,
    })
    assert.equal(checkImports([file('relay/relay.ts', '../service/audit.ts')]).length, 1)
    assert.deepEqual(
      checkImports([
        file('service/audit.ts', '../relay/relay.ts'),
        file('relay/relay.ts', '../faults.ts'),
        file('relay/relay.ts', './outbox.ts'),
      ]),
      [],
    )
  })

  it('finds time and chance in the runtime, but not in its comments and tests', () => {
    const text = '// Date.now is banned\nconst at = Date.now()\n'
    assert.deepEqual(messages(checkImports([{ path: 'packages/atoll/src/a.ts', text }])), [
      '2 Date.now is the world outside; use the Host port',
    ])
    assert.deepEqual(checkImports([{ path: 'packages/atoll/src/a.test.ts', text }]), [])
  })

  it('finds values that are exported and that nobody imports', () => {
    const files = [
      {
        path: 'packages/a/package.json',
        text: '{ "name": "@x/a", "exports": { ".": "./src/index.ts", "./b": "./src/b.ts" } }',
      },
      { path: 'packages/a/src/index.ts', text: "export { used } from './c.ts'\nexport const offered = 1\n" },
      { path: 'packages/a/src/b.ts', text: 'export const offeredToo = 1\n' },
      {
        path: 'packages/a/src/c.ts',
        text: 'export const used = 1\nexport async function unused() {}\nexport interface Named {}\n',
      },
      { path: 'packages/a/src/d.ts', text: 'export const renamed = 1\nexport class Whole {}\n' },
      {
        path: 'packages/a/src/e.ts',
        text: "import { renamed as other } from './d.ts'\nconst f = () => import('./f.ts')\n",
      },
      { path: 'packages/a/src/f.ts', text: 'export const loaded = 1\n' },
      { path: 'packages/a/src/d.test.ts', text: 'export const inTest = 1\n' },
    ]
    assert.deepEqual(
      checkExports(files).map(({ path, line, message }) => `${path}:${line} ${message.split(',')[0]}`),
      ['packages/a/src/c.ts:2 exports unused', 'packages/a/src/d.ts:2 exports Whole'],
    )
  })

  it('finds comments that are wider than the code may be, and not addresses or texts', () => {
    const words = 'word '.repeat(30)
    const text = [
      `// ${words}`,
      `  * ${words}`,
      `// https://example.com/${'a'.repeat(120)}`,
      `const text = '${words}'`,
    ].join('\n')
    assert.deepEqual(messages(checkText([{ path: 'packages/atoll/src/a.ts', text }])), [
      '1 a comment of 153 columns; break it at 120',
      '2 a comment of 154 columns; break it at 120',
    ])
  })

  it('finds what has no place in code', () => {
    const text = 'it.only(1)\nx as any\nconsole.log(1)\n'
    assert.equal(checkText([{ path: 'packages/log/src/a.ts', text }]).length, 3)
    assert.equal(checkText([{ path: 'packages/cli/src/a.ts', text: 'console.log(1)\n' }]).length, 0)
  })

  it('finds a conflict that is not resolved, in files of any kind, and no heading that is underlined', () => {
    const marked = ['<', '|', '>'].map((sign) => `a\n${sign.repeat(7)} main\nb\n`)
    for (const path of ['README.md', 'package.json', '.github/ci.yml'])
      for (const text of marked)
        assert.deepEqual(
          checkConflicts([{ path, text }]).map(({ line }) => line),
          [2],
        )
    assert.deepEqual(checkConflicts([{ path: 'README.md', text: 'A page\n=======\n>>>>>>>>> quoted\n' }]), [])
  })

  it('finds long files that do not say why', () => {
    const text = 'x\n'.repeat(500)
    assert.equal(checkText([{ path: 'packages/log/src/a.ts', text }]).length, 1)
    assert.equal(checkText([{ path: 'packages/log/src/a.ts', text: `// One file, because.\n${text}` }]).length, 0)
  })

  it('finds dead links, missing paths and surplus headings in pages', () => {
    const exists = (path: string): boolean => path === 'docs/start.md'
    const page = '# A\n\n# B\n\n[start](start.md) [gone](gone.md#part)\n\n```sh\n# not a heading\n```\n'
    assert.deepEqual(messages(checkPages([{ path: 'docs/a.md', text: page }], exists)), [
      '- has 2 headings of the first rank; a page has one',
      '5 links to gone.md, which is not there',
    ])
    assert.equal(checkPages([{ path: 'ARCHITECTURE.md', text: '# A\n`packages/gone/src`\n' }], exists).length, 1)
  })

  it('finds what a page about the code looks for in a file, and the file no longer has', () => {
    const code = { path: 'packages/a/b.ts', text: 'export function begin() {}\n' }
    const page = { path: 'docs/internals/one-event.md', text: '# A\n\n`packages/a/b.ts` `begin` `end`, then `other`\n' }
    assert.deepEqual(messages(checkPages([code, page], () => true)), [
      '3 looks for end in packages/a/b.ts, where it is not',
    ])
  })

  it('finds it also if the name still stands in the file, where it is called, spoken of, or part of another one', () => {
    const page = { path: 'docs/internals/one-event.md', text: '# A\n\n`packages/a/b.ts` `begin`\n' }
    const found = (text: string): number => checkPages([{ path: 'packages/a/b.ts', text }, page], () => true).length
    const without = [
      '  begin(store)\n',
      '  begin(() => {\n',
      '  await begin(store)\n',
      '// begin\n',
      'function beginNow() {}\n',
      "import { begin } from './c.ts'\n",
      '  beginning = 1\n',
      '  if (begin(a)) {\n',
    ]
    assert.deepEqual(
      without.map(found),
      without.map(() => 1),
    )
    const within = [
      'export async function begin<T>(\n',
      'const begin = 1\n',
      '  begin(a: B): void {\n',
      '  async begin<T>(work: () => T): Promise<T> {\n',
      '  begin(\n    a: B,\n  ): void {\n',
      '  readonly begin: A = (b) => b\n',
      'export interface begin {\n',
    ]
    assert.deepEqual(
      within.map(found),
      within.map(() => 0),
    )
    assert.equal(
      checkPages(
        [
          { path: 'packages/a/b.ts', text: '  #begin(): void {\n' },
          { ...page, text: '# A\n\n`packages/a/b.ts` `#begin` `begin(): v`\n' },
        ],
        () => true,
      ).length,
      0,
    )
  })
})
