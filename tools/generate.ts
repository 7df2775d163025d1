import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { apiPages } from './generate/api-page.ts'
import { enginesPage } from './generate/engines-page.ts'
import { errorsPage } from './generate/errors-page.ts'
import { flowPicture } from './generate/flow-picture.ts'
import { proofPage } from './generate/proof-page.ts'

// Writes the files that follow from others. With --check it only says which of them are stale.

const root = fileURLToPath(new URL('..', import.meta.url))
const generated: Readonly<Record<string, () => string | Promise<string>>> = {
  'docs/reference/errors.md': errorsPage,
  'docs/reference/engines.md': enginesPage,
  'docs/internals/proof.md': proofPage,
  'docs/images/conduit.svg': flowPicture,
  ...apiPages(),
}

const checking = process.argv.includes('--check')
for (const [path, make] of Object.entries(generated)) {
  const text = await make()
  if (existsSync(root + path) && readFileSync(root + path, 'utf8') === text) continue
  if (checking) {
    console.log(`${path} is stale: npm run fix`)
    process.exitCode = 1
  } else {
    mkdirSync(dirname(root + path), { recursive: true })
    writeFileSync(root + path, text)
    console.log(`wrote ${path}`)
  }
}
