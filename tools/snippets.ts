import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

// Compiles every `ts` fence of every page against the public entries. A fence is a module of its own; fences that only
// make sense together are marked `ts part` and are compiled as one, in the order of the page.

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = `${root}node_modules/.snippets`
rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })

const pages = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter(Boolean)
const sources = new Map<string, string>()
for (const page of pages) {
  const parts: string[] = []
  for (const [index, match] of [
    ...readFileSync(root + page, 'utf8').matchAll(/^```ts( part)?\n([\s\S]*?)^```/gm),
  ].entries()) {
    if (match[1]) parts.push(match[2]!)
    else sources.set(`${page.replaceAll('/', '__')}.${index}.ts`, match[2]!)
  }
  if (parts.length > 0) sources.set(`${page.replaceAll('/', '__')}.parts.ts`, parts.join('\n'))
}
for (const [name, source] of sources) writeFileSync(`${folder}/${name}`, `${source}\nexport {}\n`)
writeFileSync(
  `${folder}/tsconfig.json`,
  JSON.stringify({
    extends: `${root}tsconfig.json`,
    compilerOptions: { noUnusedLocals: false, noUnusedParameters: false, typeRoots: [`${root}node_modules/@types`] },
    include: ['*.ts'],
    exclude: [],
  }),
)
const { status } = spawnSync(`${root}node_modules/.bin/tsc`, ['--noEmit', '-p', `${folder}/tsconfig.json`], {
  stdio: 'inherit',
})
console.log(`${sources.size} snippets of ${pages.length} pages`)
process.exitCode = status ?? 1
