import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { assertImportsAreNamed } from './imports.ts'
import { toPublished, type Manifest } from './manifest.ts'

export const root: string = fileURLToPath(new URL('../..', import.meta.url))

/** Builds every package into a folder of its own below `dist`, which is emptied first, and returns those folders. */
export function build(dist: string): string[] {
  const compiled = `${dist}/.compiled`
  rmSync(dist, { recursive: true, force: true })
  compile(compiled)
  return packages().map((name) => {
    const source = `${root}packages/${name}`
    const folder = `${dist}/${name}`
    renameSync(`${compiled}/${name}/src`, folder)
    const manifest = toPublished(JSON.parse(readFileSync(`${source}/package.json`, 'utf8')) as Manifest)
    assertImportsAreNamed(folder, manifest)
    writeFileSync(`${folder}/package.json`, `${JSON.stringify(manifest, undefined, 2)}\n`)
    copyFileSync(`${root}LICENSE`, `${folder}/LICENSE`)
    if (existsSync(`${source}/README.md`)) copyFileSync(`${source}/README.md`, `${folder}/README.md`)
    return folder
  })
}

/** The names of the folders below packages/. */
export function packages(): string[] {
  return readdirSync(`${root}packages`).filter((name) => existsSync(`${root}packages/${name}/package.json`))
}

/** Compiles every package into `<outDir>/<package>/src`. */
export function compile(outDir: string): void {
  const { status, stdout } = spawnSync(
    process.execPath,
    [`${root}node_modules/typescript/bin/tsc`, '-p', `${root}tools/pack/tsconfig.json`, '--outDir', outDir],
    { encoding: 'utf8' },
  )
  if (status !== 0) throw new Error(`the packages do not compile:\n${stdout}`)
}
